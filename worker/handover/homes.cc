#include "worker/handover/homes.h"

#include <fmt/format.h>

#include <algorithm>

#include "conf/server_address.h"
#include "worker/api/http/face.h"
#include "worker/api/resp/face.h"
#include "worker/api/router/face.h"
#include "worker/backends/app_backend.h"
#include "worker/backends/builtin.h"

namespace holdfast {
namespace {

template <class Face>
std::unique_ptr<api::Face> make_face(const api::ApiContext& context, api::Wire& wire) {
  return std::make_unique<Face>(context, wire);
}

ApiHome::MakeFace face_of(conf::ApiProtocol protocol) {
  switch (protocol) {
    case conf::ApiProtocol::http:
      break;
    case conf::ApiProtocol::resp:
      return make_face<api::RespFace>;
    case conf::ApiProtocol::router:
      return make_face<api::RouterFace>;
  }
  return make_face<api::HttpFace>;
}

// Port 0 may stand there several times: the n-th of them is the n-th of the next configuration too, as the
// master sees it (master/listen_sockets.h L3).
std::string name_of_api(const std::vector<conf::Api>& apis, size_t index) {
  const conf::Api& api = apis[index];
  auto before = std::count_if(
      apis.begin(), apis.begin() + std::ptrdiff_t(index), [&](const conf::Api& other) {
        return other.address == api.address && other.protocol == api.protocol;
      });
  return fmt::format("{} {} {}", int(api.protocol), api.address.text, before);
}

// Would a connection that came by one go on by the other as if nothing had been?
bool same_place(const conf::Listen& a, const conf::Listen& b) {
  return a.address == b.address && a.protocol == b.protocol && a.framing == b.framing;
}

bool read_address(conf::Address& address) {
  std::optional<conf::Address> parsed = conf::parse_server_address(address.text);
  if (!parsed) return false;
  address = *std::move(parsed);
  return true;
}

}  // namespace

Homes::Homes(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub,
             PushRouter& router, Tracer& tracer, Admission& admission, ConnectionTable& connections)
    : runtime_(runtime),
      heritage_(heritage),
      config_(*heritage.config),
      sessions_(sessions),
      hub_(hub),
      router_(router),
      tracer_(tracer),
      admission_(admission),
      connections_(connections),
      resolver_(runtime.loop, heritage.resolver, runtime.stats),
      by_listen_(config_.listens.size()),
      by_api_(config_.apis.size()) {
  backends_.emplace("echo", std::make_unique<EchoBackend>(runtime_, sessions_));
  backends_.emplace("relay", std::make_unique<RelayBackend>(runtime_, sessions_, router_));
  for (const auto& [name, conf] : config_.backends) backends_.emplace(name, make_backend(conf));
}

std::unique_ptr<Backend> Homes::make_backend(const conf::Backend& conf) {
  shm::Segment& segment = *heritage_.segment;
  auto others_waiting = [&segment] {
    for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
      if (segment.stats(slot).backend_waiting.get() > 0) return true;
    return false;
  };
  fcgi::Pool::Share share{std::max(1u, conf.max_connections / heritage_.worker_count),
                          std::max(1u, conf.queue / heritage_.worker_count)};
  auto backend =
      std::make_unique<FcgiBackend>(runtime_, conf, share, sessions_, router_, others_waiting);
  backend->look_up_with(resolver_);
  return backend;
}

Backend& Homes::backend_of(const conf::Listen& listen) {
  auto it = backends_.find(listen.backend);
  HF_CHECK(it != backends_.end());  // the configuration was checked
  return *it->second;
}

const std::string& Homes::name_of(const Backend& backend) const {
  auto it = std::find_if(backends_.begin(), backends_.end(),
                         [&](const auto& entry) { return entry.second.get() == &backend; });
  HF_CHECK(it != backends_.end());
  return it->first;
}

ClientHome& Homes::client_home(size_t index) {
  ClientHome*& home = by_listen_[index];
  if (home == nullptr) {
    const conf::Listen& listen = config_.listens[index];
    home = &client_homes_.emplace_back(ClientHome{runtime_, connections_, sessions_, listen,
                                                  uint16_t(index), backend_of(listen), admission_,
                                                  tls_context(listen.tls)});
  }
  return *home;
}

const tls::Context* Homes::tls_context(const std::vector<conf::Certificate>& certificates,
                                       const std::string& client_ca) {
  if (certificates.empty()) return nullptr;
  tls::Tickets tickets;
  tickets.lifetime_ms = config_.server.tls_ticket_lifetime_ms;
  if (tickets.lifetime_ms > 0) tickets.keys = heritage_.segment->ticket_keys();
  Result<tls::Context> made =
      tls::Context::make(certificates, client_ca, tickets, config_.server.tls_groups);
  HF_CHECK(made);  // the configuration was refused otherwise
  return &tls_contexts_.emplace_back(std::move(*made));
}

ApiHome& Homes::api_home(size_t index) {
  ApiHome*& home = by_api_[index];
  if (home == nullptr) {
    const conf::Api& conf = config_.apis[index];
    api::ApiContext context{&config_, &conf,           heritage_.segment,  heritage_.slot,
                            &router_, &runtime_.stats, &runtime_.draining, &hub_,
                            &tracer_, &complaints_};
    home = &api_homes_.emplace_back(runtime_, connections_, context, face_of(conf.protocol),
                                    tls_context(conf.tls, conf.client_ca), &strangers_);
    home->name = name_of_api(config_.apis, index);
  }
  return *home;
}

// ---- handover

handover::ConfigRecord Homes::save() const {
  handover::ConfigRecord record;
  record.listens = config_.listens;
  for (const ClientHome* home : kept_homes_) record.listens.push_back(home->listen);
  for (const auto& [name, conf] : config_.backends) record.backends.push_back(conf);
  for (const conf::Backend& conf : former_.backends)
    if (!config_.backends.contains(conf.name) && backends_.contains(conf.name))
      record.backends.push_back(conf);
  return record;
}

Result<void> Homes::move_in(handover::ConfigRecord&& former) {
  former_ = std::move(former);
  for (conf::Listen& listen : former_.listens)
    if (!read_address(listen.address) || conf::is_name(listen.address))
      return Error{Errc::bad_input, 0, "a listener of the predecessor has no address"};
  for (conf::Backend& backend : former_.backends)
    for (conf::BackendServer& server : backend.servers)
      if (!read_address(server.address))
        return Error{Errc::bad_input, 0, "a server of the predecessor has no address"};
  by_former_.assign(former_.listens.size(), nullptr);
  return {};
}

ClientHome* Homes::former_client_home(size_t index) {
  if (index >= by_former_.size()) return nullptr;
  ClientHome*& home = by_former_[index];
  if (home != nullptr) return home;
  const conf::Listen& listen = former_.listens[index];
  auto alike = [&](const conf::Listen& other) { return same_place(other, listen); };
  auto before = std::count_if(former_.listens.begin(),
                              former_.listens.begin() + std::ptrdiff_t(index), alike);
  for (size_t ours = 0; ours < config_.listens.size(); ++ours)
    if (alike(config_.listens[ours]) && before-- == 0) return home = &client_home(ours);
  Backend* backend = former_backend(listen.backend);
  if (backend == nullptr) return nullptr;
  auto number = uint16_t(config_.listens.size() + kept_homes_.size());
  home = &client_homes_.emplace_back(
      ClientHome{runtime_, connections_, sessions_, listen, number, *backend, admission_});
  kept_homes_.push_back(home);
  return home;
}

ApiHome* Homes::former_api_home(const std::string& name) {
  for (size_t i = 0; i < config_.apis.size(); ++i)
    if (name_of_api(config_.apis, i) == name) return &api_home(i);
  return nullptr;
}

Backend* Homes::former_backend(const std::string& name) {
  if (auto it = backends_.find(name); it != backends_.end()) return it->second.get();
  for (const conf::Backend& conf : former_.backends)
    if (conf.name == name) return backends_.emplace(name, make_backend(conf)).first->second.get();
  return nullptr;
}

uint16_t Homes::directory_index(const Session& session) const {
  const std::string& backend = name_of(*session.backend);
  auto serves = [&](const conf::Listen& listen) { return listen.backend == backend; };
  if (session.listener < config_.listens.size() && serves(config_.listens[session.listener]))
    return session.listener;
  auto other = std::find_if(config_.listens.begin(), config_.listens.end(), serves);
  return other == config_.listens.end() ? kNowhere : uint16_t(other - config_.listens.begin());
}

}  // namespace holdfast
