#include "worker/backends/reply_actions.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/report.h"
#include "simdjson.h"
#include "wire/ws/decoder.h"
#include "worker/sessions/transport.h"

namespace holdfast {
namespace {

constexpr std::string_view kPublish = "Holdfast-Publish";
constexpr size_t kMaxShownName = 64;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "room1, room2" -> each of them, empty ones left out.
template <class F>
void for_each_item(std::string_view list, F&& f) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view item = trimmed(list.substr(0, comma));
    if (!item.empty()) f(item);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// The longest message that a length field can say.
uint64_t longest_of(const conf::Framing& framing) {
  uint64_t most = (uint64_t{1} << (8 * framing.size)) - 1;
  return framing.includes_header ? most - framing.offset - framing.size : most;
}

bool is_binary(const AppAnswer& answer) {
  return answer.header("Content-Type").starts_with("application/octet-stream") ||
         !simdjson::validate_utf8(answer.body.data(), answer.body.size());
}

}  // namespace

// What an answer asks for, header by header, and how much of it has been carried out.
class ReplyActions::Items {
 public:
  explicit Items(const AppAnswer& answer) : answer_(answer) {}
  template <class F>
  void of(std::string_view name, F&& f) const {
    for (const auto& [its_name, value] : answer_.headers)
      if (same_name(its_name, name)) f(trimmed(value));
  }
  // To be asked for each: true: it is left out.
  bool too_many() { return ++count_ > kMostItems; }
  size_t count() const { return count_; }
  size_t left_out() const { return count_ > kMostItems ? count_ - kMostItems : 0; }

 private:
  const AppAnswer& answer_;
  size_t count_ = 0;
};

void ReplyActions::bad(const Session& session, std::string_view name, std::string_view why) {
  runtime_.stats.backend_bad_headers.add();
  if (uint64_t n = gate_.pass())
    log_warn("reply header left out session={} header={} reason=\"{}\" times={}", session.id.hex(),
             name, why, n);
}

// Its earlier publishes are still on their way to many: what changes it, or reaches it, waits behind them.
bool ReplyActions::waits(const Session& session) const {
  bool reachable = session.transport != nullptr ? !session.transport->half_closed()
                                                : session.phase == SessionPhase::detached;
  return reachable && router_.waiting(Router::source_of(session)) > 0;
}

void ReplyActions::execute(const Session& session, Command& command) {
  if (command.op != Op::publish) command.sessions = {session.id};
  command.source = Router::source_of(session);
  router_.execute(command, {});
}

void ReplyActions::set_user(Session& session, std::string_view user) {
  if (!user.empty() && !valid_user(user)) return bad(session, "Holdfast-User", "no valid user id");
  if (!waits(session)) return sessions_.set_user(session, user);
  Command command;
  command.op = user.empty() ? Op::unbind : Op::bind;
  if (!user.empty()) command.users.emplace_back(user);
  execute(session, command);
}

void ReplyActions::join_or_leave(Session& session, Op op, std::string_view channel) {
  if (!valid_channel(channel)) {
    if (op == Op::join) bad(session, "Holdfast-Join", "no valid channel name");
  } else if (waits(session)) {
    Command command;
    command.op = op;
    command.channels.emplace_back(channel);
    execute(session, command);
  } else if (op == Op::leave) {
    sessions_.leave(session, channel);
  } else if (sessions_.join(session, channel) == Hub::Joined::too_many) {
    bad(session, "Holdfast-Join", "too many channels");
  }
}

// All assignments of an answer at once: each by itself would copy what the session has.
void ReplyActions::set_data(Session& session, Pairs&& pairs) {
  if (pairs.empty()) return;
  if (waits(session)) {
    Command command;
    command.op = Op::data;
    command.merge = true;
    command.pairs = std::move(pairs);
    return execute(session, command);
  }
  for (size_t n = sessions_.merge_data(session, pairs); n > 0; --n)
    bad(session, "Holdfast-Data", "more than 4096 bytes in one session");
}

void ReplyActions::read_assignment(const Session& session, std::string_view assignment,
                                   Pairs& pairs) {
  size_t equals = assignment.find('=');
  std::string_view key = trimmed(assignment.substr(0, equals));
  if (equals == std::string_view::npos || key.empty())
    return bad(session, "Holdfast-Data", "not key=value");
  pairs.emplace_back(key, trimmed(assignment.substr(equals + 1)));
}

bool ReplyActions::too_long(const Session& session, size_t bytes, uint64_t limit) {
  runtime_.stats.backend_answers_too_long.add();
  if (uint64_t n = too_long_gate_.pass())
    log_warn("answer too long session={} bytes={} limit={} times={}; nobody gets it",
             session.id.hex(), bytes, limit, n);
  return false;
}

bool ReplyActions::deliver(Session& session, std::string_view body, bool binary) {
  Payload payload(body, binary);
  if (session.listen->framing && !payload.framed(*session.listen))
    return too_long(session, body.size(), longest_of(*session.listen->framing));
  if (!waits(session)) {
    sessions_.deliver(session, payload, Urgency::urgent);
    return true;
  }
  Command send;
  send.binary = binary;
  send.data = body;
  execute(session, send);
  return true;
}

bool ReplyActions::body(Session& session, const AppAnswer& answer, Items& items) {
  Command publish;
  publish.op = Op::publish;
  bool to_channels = false;
  items.of(kPublish, [&](std::string_view value) {
    to_channels = true;
    for_each_item(value, [&](std::string_view channel) {
      if (items.too_many()) return;
      if (!valid_channel(channel)) return bad(session, kPublish, "no valid channel name");
      publish.channels.emplace_back(channel);
    });
  });
  if (answer.body.empty() || (to_channels && publish.channels.empty())) return true;
  if (!to_channels && !is_live(session)) return true;
  size_t limit = runtime_.config.limits.max_message_size;
  if (answer.body.size() > limit) return too_long(session, answer.body.size(), limit);
  bool binary = is_binary(answer);
  if (!to_channels) return deliver(session, answer.body, binary);
  publish.binary = binary;
  publish.data = answer.body;
  execute(session, publish);
  return true;
}

bool ReplyActions::before_close(Session& session, const AppAnswer& answer) {
  unknown_headers(session, answer);
  Items items(answer);
  if (is_live(session)) {
    // By kind, not in the order sent: user, join, leave, data.
    items.of("Holdfast-User", [&](std::string_view user) {
      if (!items.too_many()) set_user(session, user);
    });
    for (Op op : {Op::join, Op::leave})
      items.of(op == Op::join ? "Holdfast-Join" : "Holdfast-Leave", [&](std::string_view list) {
        for_each_item(list, [&](std::string_view channel) {
          if (!items.too_many()) join_or_leave(session, op, channel);
        });
      });
    Pairs pairs;
    items.of("Holdfast-Data", [&](std::string_view assignment) {
      if (!items.too_many()) read_assignment(session, assignment, pairs);
    });
    set_data(session, std::move(pairs));
  }
  bool whole = body(session, answer, items);
  runtime_.budget.spend(int64_t(items.count()) * TurnBudget::kReplyHeader);
  for (size_t n = items.left_out(); n > 0; --n) runtime_.stats.backend_bad_headers.add();
  if (items.left_out() > 0)
    if (uint64_t n = gate_.pass())
      log_warn(
          "reply headers left out session={} count={} reason=\"more than {} things asked for in "
          "one answer\" times={}",
          session.id.hex(), items.left_out(), kMostItems, n);
  return whole;
}

// Words of a later version are no mistake, but more often it is a slip that would go unnoticed.
void ReplyActions::unknown_headers(const Session& session, const AppAnswer& answer) {
  constexpr std::string_view kPrefix = "Holdfast-";
  static const std::vector<std::string_view> kKnown = {"Holdfast-User",    "Holdfast-Join",
                                                       "Holdfast-Leave",   "Holdfast-Data",
                                                       "Holdfast-Publish", "Holdfast-Close"};
  for (const auto& [name, value] : answer.headers) {
    if (!same_name(std::string_view(name).substr(0, kPrefix.size()), kPrefix)) continue;
    std::string_view given = name;
    auto is_it = [&](std::string_view known) { return same_name(given, known); };
    if (std::any_of(kKnown.begin(), kKnown.end(), is_it)) continue;
    std::string_view near = conf::nearest(given, kKnown);
    bad(session, std::string_view(name).substr(0, kMaxShownName),
        near.empty() ? "unknown" : fmt::format("unknown; did you mean {}?", near));
  }
}

void ReplyActions::close(Session& session, const AppAnswer& answer) {
  std::string_view value = trimmed(answer.header("Holdfast-Close"));
  if (value.empty() || !is_live(session)) return;
  unsigned code = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), code);
  bool ends_well = end == value.data() + value.size() || *end == ' ';
  if (error != std::errc() || !ends_well || code > 4999 || !ws::valid_close_code(uint16_t(code)))
    return bad(session, "Holdfast-Close", "no valid close code");
  std::string_view reason = trimmed(value.substr(size_t(end - value.data())));
  if (!waits(session)) return sessions_.hang_up(session, uint16_t(code), reason, EndReason::kicked);
  Command kick;
  kick.op = Op::kick;
  kick.code = uint16_t(code);
  kick.reason = reason;
  execute(session, kick);
}

}  // namespace holdfast
