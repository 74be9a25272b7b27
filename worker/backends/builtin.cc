#include "worker/backends/builtin.h"

#include <algorithm>

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

void RelayBackend::open(Session& session, const Opening& opening) {
  std::optional<std::vector<std::string>> named(std::in_place);
  if (opening.request != nullptr) named = http::query_values(opening.request->query(), "channel");
  if (!named) return session.transport->refuse(400, "malformed percent escape in ?channel=");
  bool from_url = !named->empty() || !session.memberships.empty();  // or by the token
  for (const std::string& channel : *named) {
    if (!valid_channel(channel))
      return session.transport->refuse(
          400, "a channel's name is 1 to 255 bytes without control characters");
    // Where tokens say who may hear what, they say it alone.
    if (session.listen->token && !is_member(session, channel))
      return session.transport->refuse(403, "the token does not name this channel");
    if (sessions_.join(session, channel, true) == Hub::Joined::too_many)
      return session.transport->refuse(400, "too many channels");
  }
  for (const std::string& channel : session.listen->channels)
    sessions_.join(session, channel, !from_url);
  if (session.memberships.empty())
    return session.transport->refuse(400, "name a channel to relay to: ?channel=room1");
  session.transport->accept({});
}

void RelayBackend::message(Session& session, bool binary, std::string_view data) {
  Command command;
  command.op = Op::publish;
  command.binary = binary;
  command.data = data;
  for (const ChannelMember::Membership& m : session.memberships)
    if (m.from_url) command.channels.push_back(m.channel->name);
  runtime_.budget.spend(int64_t(command.channels.size()) / TurnBudget::kDeliveriesAUnit);
  command.source = Router::source_of(session);
  router_.execute(command, {});
  router_.hold_while_waiting(session);
}

}  // namespace holdfast
