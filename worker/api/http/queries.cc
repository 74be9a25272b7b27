#include "worker/api/http/queries.h"

#include <fmt/format.h>

#include <utility>

#include "worker/api/http/history.h"
#include "worker/api/http/page_query.h"
#include "worker/api/session_pages.h"

namespace holdfast::api {
namespace {

using Kind = Listing::Kind;

constexpr PageRules kSessionList{Kind::sessions, 1, 1'000, 100, shm::kMaxUserBytes};
constexpr PageRules kUserList{Kind::users, 1, 10'000, 1'000, shm::kMaxUserBytes};
constexpr PageRules kChannelList{Kind::channels, 1, 10'000, 1'000, kMaxChannelBytes};
constexpr PageRules kUserMembers{Kind::user, 0, 1'000, 100, 0};
constexpr PageRules kChannelMembers{Kind::channel, 0, 1'000, 100, 0};

// The rest of the path behind `route`, decoded; empty where an escape is malformed. Unlike in a
// query, a plus is a plus.
std::optional<std::string> name_in_path(const http::Request& request, std::string_view route,
                                        std::string_view suffix = {}) {
  std::string escaped;
  std::string_view rest = request.path().substr(std::min(route.size(), request.path().size()));
  for (char c : rest.substr(0, rest.size() - std::min(suffix.size(), rest.size()))) {
    if (c == '+')
      escaped += "%2B";
    else
      escaped += c;
  }
  return http::percent_decode(escaped);
}

ApiError bad_request(std::string message) {
  return {400, "bad_request", std::move(message)};
}

// What every answer says of workers that had no part in it.
void write_missing(json::Writer& json, const CommandResult& result) {
  if (result.workers_failed > 0) json.key("workers_failed").number(result.workers_failed);
  if (result.partial) json.key("partial").boolean(true);
}

// ---- /v1/sessions

void write_detail(json::Writer& json, const SessionDetail& detail) {
  json.key("channels").begin_array();
  for (const std::string& channel : detail.channels) json.string(channel);
  json.end_array().key("data").begin_object();
  for (const auto& [key, value] : detail.data) json.key(key).string(value);
  json.end_object();
}

void write_session_of(json::Writer& json, const ApiContext& context, const shm::SessionView& view) {
  write_session(json, view, listener_of(*context.segment, *context.config, context.slot, view));
}

ApiError unknown_session(const shm::SessionId& id) {
  return {404, "unknown_session", fmt::format("no session {} is connected", id.hex())};
}

void answer_session(const Exchange& exchange, const shm::SessionView& view,
                    const CommandResult& result) {
  bool unanswered = result.partial || result.workers_failed > 0 || !result.failed.empty();
  if (!result.session && !unanswered) return exchange.refuse(unknown_session(view.id));
  json::Writer json;
  json.begin_object();
  write_session_of(json, exchange.context(), view);
  if (result.session)
    write_detail(json, *result.session);
  else
    json.key("partial").boolean(true);
  json.end_object();
  exchange.answer(200, json.take());
}

// ---- /v1/users, /v1/channels

void answer_names(const Exchange& exchange, const PageRules& rules, std::string_view key,
                  const std::string& prefix, const CommandResult& result) {
  json::Writer json;
  json.begin_object().key(key).begin_array();
  for (const NameCount& name : result.names) {
    json.begin_object().key("name").string(name.name);
    json.key("members").number(name.members).key("subscribers").number(name.subscribers);
    json.key("published").number(name.published).end_object();
  }
  json.end_array().key("more").boolean(result.more);
  if (result.more && !result.names.empty())
    json.key("cursor").string(
        write_cursor({rules.kind, prefix}, {.name = result.names.back().name}));
  write_missing(json, result);
  json.end_object();
  exchange.answer(200, json.take());
}

void list_names(const Exchange& exchange, const http::Request& request, const PageRules& rules,
                Op op, std::string_view key) {
  auto parsed = parse_page_query(rules, request.query(), {});
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  PageQuery& query = std::get<PageQuery>(parsed);
  Command command{.op = op, .page = {.limit = query.limit, .prefix = query.prefix}};
  if (query.after) command.page.after = std::move(query.after->name);
  exchange.context().router->execute(
      command, [exchange, &rules, key, prefix = query.prefix](CommandResult&& result) {
        answer_names(exchange, rules, key, prefix, result);
      });
}

// ---- /v1/users/ID, /v1/channels/NAME

void answer_members(const Exchange& exchange, Kind kind, const std::string& name,
                    const CommandResult& result, const std::optional<StreamState>& stream = {}) {
  json::Writer json;
  json.begin_object();
  if (kind == Kind::user)
    json.key("user").string(name).key("online").boolean(result.members > 0);
  else
    json.key("channel").string(name);
  json.key("members").number(result.members);
  if (kind == Kind::channel) json.key("subscribers").number(result.subscribers);
  json.key("sessions").begin_array();
  for (const MemberView& member : result.listed) {
    json.begin_object().key("session").string(member.id.hex());
    json.key("user").string(member.user).end_object();
  }
  json.end_array();
  if (result.more && !result.listed.empty())
    json.key("cursor").string(
        write_cursor({kind, name}, {.position = result.listed.back().position}));
  write_stream(json, stream);
  write_missing(json, result);
  json.end_object();
  exchange.answer(200, json.take());
}

// Its home is asked, too.
void add_stream(const Exchange& exchange, const std::string& name, CommandResult&& members) {
  Command command{.op = Op::history};
  command.channels = {name};
  exchange.context().router->execute(
      command, [exchange, name, members = std::move(members)](CommandResult&& result) mutable {
        members.partial |= result.partial;
        members.workers_failed += result.workers_failed;
        answer_members(exchange, Kind::channel, name, members, result.stream);
      });
}

void list_members(const Exchange& exchange, const http::Request& request, const PageRules& rules,
                  std::string name) {
  auto parsed = parse_page_query(rules, request.query(), name);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  PageQuery& query = std::get<PageQuery>(parsed);
  Command command{.op = Op::list_members, .page = {.limit = query.limit}};
  if (query.after) command.page.position = query.after->position;
  (rules.kind == Kind::user ? command.users : command.channels).push_back(name);
  exchange.context().router->execute(
      command, [exchange, kind = rules.kind, name = std::move(name)](CommandResult&& result) {
        if (kind == Kind::channel) return add_stream(exchange, name, std::move(result));
        answer_members(exchange, kind, name, result);
      });
}

}  // namespace

void get_sessions(const Exchange& exchange, const http::Request& request) {
  auto parsed = parse_page_query(kSessionList, request.query(), {});
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  const PageQuery& query = std::get<PageQuery>(parsed);
  SessionPage page =
      read_sessions(exchange.context().segment->directory(),
                    query.after ? query.after->position : 0, query.limit, query.prefix);
  json::Writer json;
  json.begin_object().key("sessions").begin_array();
  for (const shm::SessionView& view : page.sessions) {
    json.begin_object();
    write_session_of(json, exchange.context(), view);
    json.end_object();
  }
  json.end_array();
  if (page.next)
    json.key("cursor").string(
        write_cursor({Kind::sessions, query.prefix}, {.position = *page.next}));
  json.end_object();
  exchange.answer(200, json.take());
}

void get_session(const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> text = name_in_path(request, "/v1/sessions/");
  std::optional<shm::SessionId> id = shm::SessionId::parse(text.value_or(""));
  if (!id)
    return exchange.refuse(
        bad_request("the path ends in no session id (32 hex digits or 22 base64url digits)"));
  const shm::SessionDirectory directory = exchange.context().segment->directory();
  std::optional<shm::SessionView> view;
  if (directory.find(*id)) view = directory.view(id->index());
  if (!view || view->id != *id) return exchange.refuse(unknown_session(*id));
  exchange.context().router->execute(Command{.op = Op::get_session, .sessions = {*id}},
                                     [exchange, view = std::move(*view)](CommandResult&& result) {
                                       answer_session(exchange, view, result);
                                     });
}

void get_users(const Exchange& exchange, const http::Request& request) {
  list_names(exchange, request, kUserList, Op::list_users, "users");
}

void get_channels(const Exchange& exchange, const http::Request& request) {
  list_names(exchange, request, kChannelList, Op::list_channels, "channels");
}

void get_user(const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> name = name_in_path(request, "/v1/users/");
  if (!name || !valid_user(*name))
    return exchange.refuse(bad_request(
        "the path ends in no user (1 to 64 bytes of UTF-8 without control characters)"));
  list_members(exchange, request, kUserMembers, std::move(*name));
}

void get_channel(const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> name = channel_in_path(request, {});
  if (!name) return exchange.refuse(no_channel_in_path());
  list_members(exchange, request, kChannelMembers, std::move(*name));
}

std::optional<std::string> channel_in_path(const http::Request& request, std::string_view suffix) {
  std::optional<std::string> name = name_in_path(request, "/v1/channels/", suffix);
  if (name && !valid_channel(*name)) name.reset();
  return name;
}

ApiError no_channel_in_path() {
  return bad_request(
      "the path names no channel (1 to 255 bytes of UTF-8 without control characters)");
}

}  // namespace holdfast::api
