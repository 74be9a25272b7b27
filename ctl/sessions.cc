#include "ctl/sessions.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

using shm::SessionView;

std::string_view state_name(shm::SessionState state) {
  switch (state) {
    case shm::SessionState::free:
      return "free";
    case shm::SessionState::connecting:
      return "connecting";
    case shm::SessionState::open:
      return "open";
    case shm::SessionState::closing:
      return "closing";
  }
  return "unknown";  // the word is another process's
}

std::string age_text(const SessionView& session, uint64_t wall_now_ms) {
  uint64_t since = session.connected_wall_s * 1000;
  // The directory keeps whole seconds.
  uint64_t age = wall_now_ms > since ? (wall_now_ms - since) / 1000 * 1000 : 0;
  return age == 0 ? "0 s" : human_duration_ms(age);
}

void write_session(Json& json, const SessionView& session) {
  json.begin_object().member("id", session.id.hex());
  json.member("state", state_name(session.control.state));
  json.member("slot", uint64_t{session.control.owner});
  json.member("user", session.user).member("peer", peer_text(session.origin));
  json.member("listener", uint64_t{session.origin.listener});
  json.member("connected_s", session.connected_wall_s);
  json.member("messages_in", session.messages_in).member("messages_out", session.messages_out);
  json.member("unsent_bytes", session.unsent_bytes);
  json.member("owes_close", (session.control.flags & shm::kOwesClose) != 0);
  json.member("crashed", (session.control.flags & shm::kCrashed) != 0);
  json.end_object();
}

}  // namespace

std::string peer_text(const shm::SessionOrigin& origin) {
  char text[INET6_ADDRSTRLEN];
  const in6_addr& peer = origin.peer;
  if (IN6_IS_ADDR_UNSPECIFIED(&peer)) return "unix";
  if (IN6_IS_ADDR_V4MAPPED(&peer)) {
    inet_ntop(AF_INET, peer.s6_addr + 12, text, sizeof text);
    return fmt::format("{}:{}", text, origin.peer_port);
  }
  inet_ntop(AF_INET6, &peer, text, sizeof text);
  return fmt::format("[{}]:{}", text, origin.peer_port);
}

SessionList list_sessions(const shm::Segment& segment, uint32_t limit) {
  SessionList list;
  shm::SessionDirectory directory = segment.directory();
  for (uint32_t slot = 0; slot < directory.slots(); ++slot) {
    uint32_t used = segment.stats(slot).slab_high_water.load(std::memory_order_acquire);
    uint32_t first = slot * directory.per_slab();
    for (uint32_t i = 0; i < std::min(used, directory.per_slab()); ++i) {
      std::optional<SessionView> session = directory.view(first + i);
      if (!session) continue;
      list.more = limit != 0 && list.sessions.size() == limit;
      if (list.more) return list;
      list.sessions.push_back(std::move(*session));
    }
  }
  return list;
}

Result<SessionView> find_session(const shm::Segment& segment, const std::string& text) {
  std::optional<shm::SessionId> id = shm::SessionId::parse(text);
  if (!id)
    return Error{
        Errc::bad_input, 0,
        fmt::format("\"{}\" is no session id (32 hex or 22 base64url digits)", printable(text))};
  uint32_t node = segment.header().node_id;
  if (id->node() != node)
    return Error{
        Errc::gone, 0,
        fmt::format("session {} is one of node {}; this is node {}", id->hex(), id->node(), node)};
  shm::SessionDirectory directory = segment.directory();
  std::optional<SessionView> session;
  if (id->index() < directory.size()) session = directory.view(id->index());
  if (!session || session->id != *id)
    return Error{Errc::gone, 0, fmt::format("no session {}", id->hex())};
  return std::move(*session);
}

std::string sessions_text(const SessionList& list, uint64_t wall_now_ms, bool colour) {
  Table table({{"ID"},
               {"SLOT", Align::right},
               {"STATE"},
               {"AGE", Align::right},
               {"IN", Align::right},
               {"OUT", Align::right},
               {"UNSENT", Align::right},
               {"PEER"},
               {"USER"}});
  for (const SessionView& s : list.sessions)
    table.row({s.id.hex(), std::to_string(s.control.owner),
               std::string(state_name(s.control.state)), age_text(s, wall_now_ms),
               human_count(s.messages_in), human_count(s.messages_out), human_bytes(s.unsent_bytes),
               peer_text(s.origin), s.user.empty() ? "-" : printable(s.user)});
  std::string out = table.text(colour);
  if (list.more) out += "there are more; --limit N shows N of them, --limit 0 all\n";
  return out;
}

std::string sessions_json(const SessionList& list) {
  Json json;
  json.begin_object().key("sessions").begin_array();
  for (const SessionView& session : list.sessions) write_session(json, session);
  json.end_array().member("more", list.more).end_object();
  return json.line();
}

std::string session_text(const SessionView& s, uint64_t wall_now_ms) {
  return name_value_lines(
      {{"session", s.id.hex()},
       {"short form", s.id.base64url()},
       {"state", std::string(state_name(s.control.state))},
       {"worker slot", std::to_string(s.control.owner)},
       {"user", s.user.empty() ? "-" : printable(s.user)},
       {"peer", peer_text(s.origin)},
       {"listener", fmt::format("listen[{}]", s.origin.listener)},
       {"connected", human_wall_ms(s.connected_wall_s * 1000)},
       {"age", age_text(s, wall_now_ms)},
       {"messages in", human_count(s.messages_in)},
       {"messages out", human_count(s.messages_out)},
       {"unsent", human_bytes(s.unsent_bytes)},
       {"close event", (s.control.flags & shm::kOwesClose) != 0 ? "owed" : "not owed"},
       {"worker died", (s.control.flags & shm::kCrashed) != 0 ? "yes" : "no"}});
}

std::string session_json(const SessionView& session) {
  Json json;
  write_session(json, session);
  return json.line();
}

ExitCode run_sessions(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(segment.error());
  SessionList list = list_sessions(*segment, options.limit);
  if (options.json) return print(sessions_json(list));
  if (!segment->master_alive())
    fmt::print(stderr, "holdfastctl: the master is dead; this is what it left behind\n");
  return print(sessions_text(list, wall_ms(), colour_wanted()));
}

ExitCode run_session(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(segment.error());
  Result<SessionView> session = find_session(*segment, options.sessions.front());
  if (!session) return fail(session.error());
  return print(options.json ? session_json(*session) : session_text(*session, wall_ms()));
}

}  // namespace holdfast::ctl
