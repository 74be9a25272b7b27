#include "ctl/session.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/json_read.h"
#include "ctl/sessions.h"
#include "ctl/table.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;
using shm::SessionView;
using Pairs = std::vector<std::pair<std::string, std::string>>;

Error no_session(const shm::SessionId& id) {
  return {Errc::gone, 0, fmt::format("no session {}", id.hex())};
}

// Then it is in no channel any more, and the API does not know it.
bool is_closing(const SessionView& session) {
  return session.control.state == shm::SessionState::closing;
}

Pairs data_of(dom::object answer) {
  Pairs pairs;
  dom::object data;
  if (answer.at_key("data").get(data) != simdjson::SUCCESS) return pairs;
  for (auto [key, value] : data) {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS) pairs.emplace_back(key, text);
  }
  return pairs;
}

void write_data(Json& json, const Pairs& data) {
  json.key("data").begin_object();
  for (const auto& [key, value] : data) json.member(key, value);
  json.end_object();
}

void add_detail(Pairs& lines, const SessionDetail& detail) {
  if (detail.channels.empty()) lines.emplace_back("channels", "-");
  for (size_t i = 0; i < detail.channels.size(); ++i)
    lines.emplace_back(i == 0 ? "channels" : "", printable(detail.channels[i]));
  if (detail.data.empty()) lines.emplace_back("data", "-");
  for (size_t i = 0; i < detail.data.size(); ++i)
    lines.emplace_back(i == 0 ? "data" : "",
                       printable(detail.data[i].first) + " = " + printable(detail.data[i].second));
}

}  // namespace

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
  if (!session || session->id != *id) return no_session(*id);
  return std::move(*session);
}

Result<SessionDetail> ask_detail(const shm::SessionId& id, const Fetch& fetch) {
  Result<HttpAnswer> answer = fetch("/v1/sessions/" + id.hex());
  if (!answer) return answer.error();
  dom::parser parser;
  dom::object object;
  if (parser.parse(answer->body).get(object) != simdjson::SUCCESS)
    return Error{Errc::bad_input, 0,
                 fmt::format("status {} without the JSON it should have", answer->status)};
  if (answer->status == 404) return no_session(id);
  if (answer->status != 200)
    return Error{Errc::bad_input, 0,
                 fmt::format("refused with status {}: {}", answer->status, error_of(object))};
  if (flag_of(object, "partial"))
    return Error{Errc::limit, 0, "its worker has not answered in time"};
  return SessionDetail{std::string(text_of(object, "listener")), strings_of(object, "channels"),
                       data_of(object)};
}

std::string session_text(const SessionView& s, const SessionDetail* detail, uint64_t wall_now_ms) {
  bool listener = detail != nullptr && !detail->listener.empty();
  Pairs lines{{"session", s.id.hex()},
              {"short form", s.id.base64url()},
              {"state", std::string(state_name(s.control))},
              {"worker", std::to_string(s.control.owner)},
              {"user", s.user.empty() ? "-" : printable(s.user)},
              {"peer", peer_text(s.origin)},
              {"listener", listener ? printable(detail->listener)
                                    : fmt::format("listen[{}]", s.origin.listener)},
              {"connected", human_wall_ms(s.connected_wall_s * 1000)},
              {"age", age_text(s, wall_now_ms)},
              {"messages in", human_count(s.messages_in)},
              {"messages out", human_count(s.messages_out)},
              {"unsent", human_bytes(s.unsent_bytes)}};
  if (owes_close(s)) lines.emplace_back("close event", "owed");
  if ((s.control.flags & shm::kCrashed) != 0) lines.emplace_back("worker died", "yes");
  if (detail != nullptr) add_detail(lines, *detail);
  return name_value_lines(lines);
}

std::string session_line(const SessionView& session, const SessionDetail* detail) {
  Json json;
  json.begin_object();
  write_session(json, session);
  if (detail != nullptr) {
    if (!detail->listener.empty()) json.member("listener", detail->listener);
    json.key("channels").begin_array();
    for (const std::string& channel : detail->channels) json.value(channel);
    json.end_array();
    write_data(json, detail->data);
  } else if (!is_closing(session)) {
    json.member("partial", true);
  }
  json.end_object();
  return json.line();
}

ExitCode run_session(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  Result<SessionView> session = find_session(*segment, options.sessions.front());
  if (!session) return fail(options, session.error());
  Result<SessionDetail> asked =
      ask_detail(session->id, fetch_from(api_socket(*segment), kDetailTimeoutMs));
  const SessionDetail* detail = asked ? &*asked : nullptr;
  if (options.json) return print(session_line(*session, detail));
  if (!asked && !is_closing(*session))
    note("channels and data are left out: " + asked.error().text());
  return print(session_text(*session, detail, wall_ms()));
}

ExitCode run_get_data(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  Result<SessionView> session = find_session(*segment, options.sessions.front());
  if (!session) return fail(options, session.error());
  Result<SessionDetail> asked =
      ask_detail(session->id, fetch_from(api_socket(*segment), kDetailTimeoutMs));
  if (!asked) return fail(options, asked.error());
  if (options.json) {
    Json json;
    json.begin_object().member("session", session->id.hex());
    write_data(json, asked->data);
    json.end_object();
    return print(json.line());
  }
  std::string out;
  for (const auto& [key, value] : asked->data)
    out += printable(key) + "=" + printable(value) + "\n";
  return print(out);
}

}  // namespace holdfast::ctl
