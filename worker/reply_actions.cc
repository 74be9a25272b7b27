#include "worker/reply_actions.h"

#include <strings.h>

#include <charconv>

#include "base/log.h"
#include "simdjson.h"
#include "worker/client.h"
#include "worker/ws/decoder.h"

namespace holdfast {
namespace {

constexpr std::string_view kPublish = "Holdfast-Publish";

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
  size_t bytes = key.size() + value.size();
  if (session.data) {
    for (const auto& [k, v] : *session.data)
      if (k != key) bytes += k.size() + v.size();
  }
  if (bytes > kMaxDataBytes)
    return bad(session, "Holdfast-Data", "more than 4096 bytes in one session");
  if (!session.data) session.data = std::make_unique<SessionData>();
  if (value.empty()) {
    if (auto it = session.data->find(key); it != session.data->end()) session.data->erase(it);
  } else {
    session.data->insert_or_assign(std::string(key), std::string(value));
  }
}

void ReplyActions::session_header(Session& session, std::string_view name, std::string_view value) {
  if (same_name(name, "Holdfast-User")) {
    if (!value.empty() && !valid_user(value)) return bad(session, name, "no valid user id");
    sessions_.set_user(session, value);
  } else if (same_name(name, "Holdfast-Join")) {
    for_each_item(value, [&](std::string_view channel) {
      if (!valid_channel(channel)) return bad(session, name, "no valid channel name");
      if (hub_.join(session, channel) == Hub::Joined::too_many)
        bad(session, name, "too many channels");
    });
  } else if (same_name(name, "Holdfast-Leave")) {
    for_each_item(value, [&](std::string_view channel) { hub_.leave(session, channel); });
  } else if (same_name(name, "Holdfast-Data")) {
    set_data(session, value);
  }
}

void ReplyActions::body(Session& session, const fcgi::Answer& answer) {
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
  if (answer.body.empty()) return;
  if (answer.body.size() > runtime_.config.limits.max_message_size)
    return bad(session, "(body)", "longer than max_message_size");
  bool binary = is_binary(answer);
  if (to_channels) {
    if (publish.channels.empty()) return;
    publish.binary = binary;
    publish.data = answer.body;
    router_.execute(publish, {});
  } else if (session.client != nullptr) {
    Payload payload(answer.body, binary);
    sessions_.deliver(session, payload, Urgency::urgent);
  }
}

void ReplyActions::before_close(Session& session, const fcgi::Answer& answer) {
  if (session.client != nullptr) {
    // By kind, not in the order sent: user, join, leave, data.
    for (std::string_view kind :
         {"Holdfast-User", "Holdfast-Join", "Holdfast-Leave", "Holdfast-Data"})
      for (const auto& [name, value] : answer.headers)
        if (same_name(name, kind)) session_header(session, kind, trimmed(value));
  }
  body(session, answer);
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
