#include "worker/handover/former_config.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "conf/server_address.h"

namespace holdfast::handover {
namespace {

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

ConfigRecord FormerConfig::save() const {
  ConfigRecord record;
  record.listens = config_.listens;
  for (const ClientHome* home : kept_homes_) record.listens.push_back(home->listen);
  for (const auto& [name, conf] : config_.backends) record.backends.push_back(conf);
  for (const conf::Backend& conf : former_.backends)
    if (!config_.backends.contains(conf.name) && backends_.find(conf.name) != nullptr)
      record.backends.push_back(conf);
  return record;
}

Result<void> FormerConfig::move_in(ConfigRecord&& former) {
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

ClientHome* FormerConfig::client_home(size_t index) {
  if (index >= by_former_.size()) return nullptr;
  ClientHome*& home = by_former_[index];
  if (home != nullptr) return home;
  const conf::Listen& listen = former_.listens[index];
  auto alike = [&](const conf::Listen& other) { return same_place(other, listen); };
  auto before = std::count_if(former_.listens.begin(),
                              former_.listens.begin() + std::ptrdiff_t(index), alike);
  for (size_t ours = 0; ours < config_.listens.size(); ++ours)
    if (alike(config_.listens[ours]) && before-- == 0) return home = &clients_.at(ours);
  Backend* its = backend(listen.backend);
  if (its == nullptr) return nullptr;
  home = &clients_.keep(listen, uint16_t(config_.listens.size() + kept_homes_.size()), *its);
  kept_homes_.push_back(home);
  return home;
}

Backend* FormerConfig::backend(const std::string& name) {
  if (Backend* known = backends_.find(name)) return known;
  for (const conf::Backend& conf : former_.backends)
    if (conf.name == name) return &backends_.add(conf);
  return nullptr;
}

uint16_t FormerConfig::directory_index(const Session& session) const {
  const std::string& name = backends_.name_of(*session.backend);
  auto serves = [&](const conf::Listen& listen) { return listen.backend == name; };
  if (session.listener < config_.listens.size() && serves(config_.listens[session.listener]))
    return session.listener;
  auto other = std::find_if(config_.listens.begin(), config_.listens.end(), serves);
  return other == config_.listens.end() ? kNowhere : uint16_t(other - config_.listens.begin());
}

}  // namespace holdfast::handover
