#include "worker/backends/builtin.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "worker/backends/permits.h"
#include "worker/sessions/transport.h"

namespace holdfast {

void EchoBackend::open(Session& session, const Opening&) {
  for (const std::string& channel : session.listen->channels) sessions_.join(session, channel);
  session.transport->accept({});
}

void EchoBackend::message(Session& session, bool binary, std::string_view data) {
  Payload payload(data, binary);
  sessions_.deliver(session, payload, Urgency::urgent);
}

namespace {
bool is_member(const Session& session, std::string_view channel) {
  return std::any_of(session.memberships.begin(), session.memberships.end(),
                     [&](const auto& m) { return m.channel->name == channel; });
}
}  // namespace

// Counted and logged as clients' refusals are (clients/refusal.h). `channel`: the one that is wrong, or "".
void RelayBackend::refuse(const Session& session, const Opening& opening, int status,
                          std::string_view text, std::string_view channel) {
  runtime_.stats.handshakes_bad_channel.add();
  if (uint64_t n = refused_gate_.pass())
    log_warn("hand-shake refused peer={} status={} reason=\"{}\" channel=\"{}\" times={}",
             opening.remote_address, status, text, shown(channel), n);
  session.transport->refuse(status, text);
}

void RelayBackend::open(Session& session, const Opening& opening) {
  std::optional<std::vector<std::string>> named(std::in_place);
  std::string_view query = opening.request != nullptr ? opening.request->query() : "";
  if (opening.request != nullptr) named = http::query_values(query, "channel");
  if (!named) return refuse(session, opening, 400, "malformed percent escape in ?channel=", {});
  bool from_url = !named->empty() || !session.memberships.empty();  // or by the token
  bool kept_out = false;
  for (const std::string& channel : *named) {
    if (!valid_channel(channel))
      return refuse(session, opening, 400,
                    "a channel's name is 1 to 255 bytes without control characters", channel);
    Permit permit = permit_for(runtime_.config, session, channel, false);
    if (permit.entry == Entry::kept_out) {
      sessions_.keep_out(session, channel, permit.reason);
      kept_out = true;
      continue;
    }
    // If tokens name the channels of their clients, they alone do.
    if (permit.entry == Entry::free && session.listen->token && !is_member(session, channel))
      return refuse(session, opening, 403, "the token does not name this channel", channel);
    if (sessions_.join(session, channel, true) == Hub::Joined::too_many)
      return refuse(session, opening, 400, "too many channels", channel);
  }
  for (const std::string& channel : session.listen->channels)
    sessions_.join(session, channel, !from_url);
  if (session.memberships.empty() && !kept_out)
    return refuse(session, opening, 400, "name a channel to relay to: ?channel=room1", {});
  session.transport->accept({});
}

void RelayBackend::message(Session& session, bool binary, std::string_view data) {
  Command command;
  command.op = Op::publish;
  command.binary = binary;
  command.data = data;
  for (const ChannelMember::Membership& m : session.memberships) {
    if (!m.from_url) continue;
    if (may_publish(m.channel->rule))
      command.channels.push_back(m.channel->name);
    else
      sessions_.keep_out(session, m.channel->name, "publish");
  }
  if (command.channels.empty()) return;
  runtime_.budget.spend(int64_t(command.channels.size()) / TurnBudget::kDeliveriesAUnit);
  command.source = Router::source_of(session);
  router_.execute(command, {});
  router_.hold_while_waiting(session);
}

}  // namespace holdfast
