#include "ctl/sessions.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json_list.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

using shm::SessionView;

constexpr size_t kPageSessions = 1'000;

// The address alone; "unix" where there is none.
std::string address_text(const in6_addr& peer) {
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_UNSPECIFIED(&peer)) return "unix";
  bool v4 = IN6_IS_ADDR_V4MAPPED(&peer);
  inet_ntop(v4 ? AF_INET : AF_INET6, peer.s6_addr + (v4 ? 12 : 0), text, sizeof text);
  return text;
}

ExitCode print_sessions_text(SessionWalk& walk) {
  Style style = screen().style;
  Table table = sessions_table();
  bool first = true;
  for (;;) {
    std::vector<SessionView> page = walk.next(kPageSessions);
    if (page.empty() && !first) break;
    first = false;
    for (const SessionView& session : page) add_session(table, session, wall_ms());
    if (print(table.page(style)) != kOk) return kFailure;
  }
  if (walk.more() && print("there are more, beyond the --limit\n") != kOk) return kFailure;
  if (table.left_out().empty()) return kOk;
  return print("too narrow a terminal for " + table.left_out() + "\n");
}

ExitCode print_sessions_json(SessionWalk& walk) {
  JsonList list("sessions");
  if (print(list.open()) != kOk) return kFailure;
  for (;;) {
    std::vector<SessionView> page = walk.next(kPageSessions);
    if (page.empty()) break;
    std::string items;
    for (const SessionView& session : page) items += list.item(session_json(session));
    if (print(items) != kOk) return kFailure;
  }
  return print(list.close({.more = walk.more()}));
}

}  // namespace

std::vector<SessionView> SessionWalk::next(size_t most) {
  std::vector<SessionView> page;
  for (; slot_ < directory_.slots(); ++slot_, index_ = 0) {
    uint32_t used = directory_.used(slot_);
    for (; index_ < used; ++index_) {
      if (page.size() == most) return page;
      std::optional<SessionView> session = directory_.view(slot_ * directory_.per_slab() + index_);
      if (!session || !session->user.starts_with(prefix_)) continue;
      more_ = limit_ != 0 && seen_ == limit_;
      if (more_) return page;
      ++seen_;
      page.push_back(std::move(*session));
    }
  }
  return page;
}

std::string_view state_name(const shm::Control& control) {
  switch (control.state) {
    case shm::SessionState::free:
      return "free";
    case shm::SessionState::connecting:
      return "connecting";
    case shm::SessionState::open:
      return (control.flags & shm::kDetached) != 0 ? "detached" : "open";
    case shm::SessionState::closing:
      return "closing";
  }
  return "unknown";  // the word is another process's
}

bool owes_close(const SessionView& session) {
  return session.control.state == shm::SessionState::closing &&
         (session.control.flags & shm::kOwesClose) != 0;
}

std::string age_text(const SessionView& session, uint64_t wall_now_ms) {
  uint64_t since = session.connected_wall_s * 1000;
  // The directory keeps whole seconds.
  uint64_t age = wall_now_ms > since ? (wall_now_ms - since) / 1000 : 0;
  return age < 60 ? fmt::format("{} s", age) : human_duration_ms(age * 1000);
}

std::string peer_text(const shm::SessionOrigin& origin) {
  const in6_addr& peer = origin.peer;
  if (IN6_IS_ADDR_UNSPECIFIED(&peer)) return "unix";
  std::string address = address_text(peer);
  if (!IN6_IS_ADDR_V4MAPPED(&peer)) address = "[" + address + "]";
  return fmt::format("{}:{}", address, origin.peer_port);
}

Table sessions_table() {
  return Table({{"SESSION"},
                {"STATE", Align::left, 5},
                {"AGE", Align::right},
                {"IN", Align::right},
                {"OUT", Align::right},
                {"UNSENT", Align::right},
                {"USER", Align::left, 6},
                {"PEER"},
                {"WORKER", Align::right}});
}

void add_session(Table& table, const SessionView& s, uint64_t wall_now_ms) {
  table.row({s.id.hex(), std::string(state_name(s.control)), age_text(s, wall_now_ms),
             short_count(s.messages_in), short_count(s.messages_out), short_bytes(s.unsent_bytes),
             s.user.empty() ? "-" : printable(s.user), peer_text(s.origin),
             std::to_string(s.control.owner)});
}

void write_session(Json& json, const SessionView& session) {
  json.member("session", session.id.hex()).member("user", session.user);
  json.member("state", state_name(session.control));
  json.member("worker", uint64_t{session.control.owner});
  json.member("peer", address_text(session.origin.peer));
  json.member("port", uint64_t{session.origin.peer_port});
  json.member("connected_s", session.connected_wall_s);
  json.member("messages_in", session.messages_in).member("messages_out", session.messages_out);
  json.member("unsent_bytes", session.unsent_bytes);
  json.member("owes_close", owes_close(session));
  json.member("crashed", (session.control.flags & shm::kCrashed) != 0);
}

std::string session_json(const SessionView& session) {
  Json json;
  json.begin_object();
  write_session(json, session);
  json.end_object();
  return json.text();
}

ExitCode run_sessions(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  SessionWalk walk(*segment, options.prefix, options.limit);
  if (options.json) return print_sessions_json(walk);
  if (!segment->master_alive()) note("the master is dead; this is what it left behind");
  return print_sessions_text(walk);
}

}  // namespace holdfast::ctl
