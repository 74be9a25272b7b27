#include "worker/reply_actions.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/report.h"
#include "simdjson.h"
#include "worker/client.h"
#include "worker/ws/decoder.h"

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

bool is_binary(const fcgi::Answer& answer) {
  return answer.header("Content-Type").starts_with("application/octet-stream") ||
         !simdjson::validate_utf8(answer.body.data(), answer.body.size());
}

}  // namespace

void ReplyActions::bad(const Session& session, std::string_view name, std::string_view why) {
  runtime_.stats.backend_bad_headers.add();
  if (uint64_t n = gate_.pass())
    log_warn("reply header left out session={} header={} reason=\"{}\" times={}", session.id.hex(),
             name, why, n);
}

void ReplyActions::set_data(Session& session, std::string_view assignment) {
  size_t equals = assignment.find('=');
  std::string_view key = trimmed(assignment.substr(0, equals));
  if (equals == std::string_view::npos || key.empty())
    return bad(session, "Holdfast-Data", "not key=value");
  std::string_view value = trimmed(assignment.substr(equals + 1));
  if (!sessions_.set_data(session, {{std::string(key), std::string(value)}}, true))
    bad(session, "Holdfast-Data", "more than 4096 bytes in one session");
}

void ReplyActions::session_header(Session& session, std::string_view name, std::string_view value) {
  if (same_name(name, "Holdfast-User")) {
    if (!value.empty() && !valid_user(value)) return bad(session, name, "no valid user id");
    sessions_.set_user(session, value);
  } else if (same_name(name, "Holdfast-Join")) {
    for_each_item(value, [&](std::string_view channel) {
      if (!valid_channel(channel)) return bad(session, name, "no valid channel name");
      if (sessions_.join(session, channel) == Hub::Joined::too_many)
        bad(session, name, "too many channels");
    });
  } else if (same_name(name, "Holdfast-Leave")) {
    for_each_item(value, [&](std::string_view channel) { sessions_.leave(session, channel); });
  } else if (same_name(name, "Holdfast-Data")) {
    set_data(session, value);
  }
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
  sessions_.deliver(session, payload, Urgency::urgent);
  return true;
}

bool ReplyActions::body(Session& session, const fcgi::Answer& answer) {
  Command publish;
  publish.op = Op::publish;
  bool to_channels = false;
  for (const auto& [name, value] : answer.headers) {
    if (!same_name(name, kPublish)) continue;
    to_channels = true;
    for_each_item(value, [&](std::string_view channel) {
      if (!valid_channel(channel)) return bad(session, kPublish, "no valid channel name");
      publish.channels.emplace_back(channel);
    });
  }
  if (answer.body.empty() || (to_channels && publish.channels.empty())) return true;
  if (!to_channels && session.client == nullptr) return true;
  size_t limit = runtime_.config.limits.max_message_size;
  if (answer.body.size() > limit) return too_long(session, answer.body.size(), limit);
  bool binary = is_binary(answer);
  if (!to_channels) return deliver(session, answer.body, binary);
  publish.binary = binary;
  publish.data = answer.body;
  router_.execute(publish, {});
  return true;
}

bool ReplyActions::before_close(Session& session, const fcgi::Answer& answer) {
  unknown_headers(session, answer);
  if (session.client != nullptr) {
    // By kind, not in the order sent: user, join, leave, data.
    for (std::string_view kind :
         {"Holdfast-User", "Holdfast-Join", "Holdfast-Leave", "Holdfast-Data"})
      for (const auto& [name, value] : answer.headers)
        if (same_name(name, kind)) session_header(session, kind, trimmed(value));
  }
  return body(session, answer);
}

// Words of a later version are no mistake, but more often it is a slip that would go unnoticed.
void ReplyActions::unknown_headers(const Session& session, const fcgi::Answer& answer) {
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

void ReplyActions::close(Session& session, const fcgi::Answer& answer) {
  std::string_view value = trimmed(answer.header("Holdfast-Close"));
  if (value.empty() || session.client == nullptr) return;
  unsigned code = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), code);
  bool ends_well = end == value.data() + value.size() || *end == ' ';
  if (error != std::errc() || !ends_well || code > 4999 || !ws::valid_close_code(uint16_t(code)))
    return bad(session, "Holdfast-Close", "no valid close code");
  std::string_view reason = trimmed(value.substr(size_t(end - value.data())));
  session.client->close(uint16_t(code), reason, EndReason::kicked);
}

}  // namespace holdfast
