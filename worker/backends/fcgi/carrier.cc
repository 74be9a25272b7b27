#include "worker/backends/fcgi/carrier.h"

#include <utility>

#include "worker/backends/fcgi/params.h"

namespace holdfast::fcgi {

Carrier::Carrier(const Runtime& runtime, const conf::Backend& conf, Pool::Share share,
                 std::function<bool()> others_waiting)
    : conf_(conf),
      backend_params_(backend_params(conf, runtime.config.server.node_id)),
      pool_(runtime.loop, conf, share, runtime.stats, std::move(others_waiting)) {}

std::string Carrier::session_facts(const Session& session, const Opening& opening) const {
  return session_params(conf_, session, opening);
}

std::string Carrier::orphan_facts(const shm::SessionView& view) const {
  return orphan_params(conf_, view);
}

void Carrier::speak(std::string_view before, std::string_view chosen, std::string& facts) const {
  speak_params(conf_, before, chosen, facts);
}

size_t Carrier::submit(AppRequest&& asked) {
  Request request;
  request.params =
      backend_params_ + asked.facts +
      request_params(asked.session, asked.event, asked.binary, asked.body.size(), asked.channel);
  request.body = std::move(asked.body);
  request.session = asked.session.id.hex();
  request.caller = asked.caller;
  request.ticket = asked.ticket;
  size_t bytes = sizeof request + request.params.size() + request.body.size();
  return pool_.submit(std::move(request)) ? bytes : 0;
}

std::string Carrier::save() const {
  return handover::save(pool_.save());
}

std::vector<std::pair<std::string, int>> Carrier::carried() const {
  std::vector<std::pair<std::string, int>> all;
  for (const auto& [record, fd] : pool_.carried()) all.emplace_back(handover::save(record), fd);
  return all;
}

bool Carrier::restore(std::string_view bytes, AppCaller& caller) {
  PoolRecord record;
  return handover::load(bytes, record) && pool_.restore(std::move(record), &caller);
}

bool Carrier::restore(std::string_view bytes, UniqueFd fd, AppCaller& caller) {
  CarriedRecord record;
  return handover::load(bytes, record) && pool_.restore(std::move(record), std::move(fd), &caller);
}

}  // namespace holdfast::fcgi
