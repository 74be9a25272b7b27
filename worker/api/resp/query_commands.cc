// RESP commands that ask about sessions, users and channels.
#include <fmt/format.h>

#include <utility>

#include "worker/api/resp/handlers.h"
#include "worker/api/resp/page.h"
#include "worker/api/session_pages.h"
#include "worker/net/address_text.h"

namespace holdfast::api::run {
namespace {

using resp::ReplyWriter;
using Kind = Listing::Kind;

constexpr PageRules kSessionList{Kind::sessions, 1, 1'000, 100, shm::kMaxUserBytes};
constexpr PageRules kUserList{Kind::users, 1, 10'000, 1'000, shm::kMaxUserBytes};
constexpr PageRules kChannelList{Kind::channels, 1, 10'000, 1'000, kMaxChannelBytes};
constexpr PageRules kUserMembers{Kind::user, 0, 1'000, 100, 0};
constexpr PageRules kChannelMembers{Kind::channel, 0, 1'000, 100, 0};

// Some worker's part is missing.
bool is_partial(const CommandResult& result) {
  return result.partial || result.workers_failed > 0 || !result.failed.empty();
}

// The cursor of the page that follows; "0" where there is none.
std::string cursor_behind(bool more, const Listing& listing, const Cursor& last) {
  return more ? write_cursor(listing, last) : std::string(kNoCursor);
}

// ---- HF.SESSION

void write_view(ReplyWriter& out, const ApiContext& context, const shm::SessionView& view) {
  out.bulk("session").bulk(view.id.hex()).bulk("user").bulk(view.user);
  out.bulk("state").bulk(state_name(view));
  out.bulk("worker").integer(view.control.owner);
  out.bulk("listener").bulk(listener_of(*context.segment, *context.config, context.slot, view));
  out.bulk("peer").bulk(is_unix(view.origin) ? "unix" : address_text(view.origin.peer));
  out.bulk("port").integer(view.origin.peer_port);
  out.bulk("connected_s").integer(int64_t(view.connected_wall_s));
  out.bulk("messages_in").integer(view.messages_in).bulk("messages_out").integer(view.messages_out);
  out.bulk("unsent_bytes").integer(view.unsent_bytes);
}
constexpr size_t kViewFields = 11;

void write_detail(ReplyWriter& out, const SessionDetail& detail) {
  out.bulk("channels").array(detail.channels.size());
  for (const std::string& name : detail.channels) out.bulk(name);
  out.bulk("data").map(detail.data.size());
  for (const auto& [key, value] : detail.data) out.bulk(key).bulk(value);
}

void answer_session(const RespAnswer& answer, const shm::SessionView& view,
                    const CommandResult& result) {
  ReplyWriter out = answer.writer();
  if (!result.session && !is_partial(result)) return answer.send(out.null());
  out.map(kViewFields + (result.session ? 2 : 1));
  write_view(out, answer.context(), view);
  if (result.session)
    write_detail(out, *result.session);
  else
    out.bulk("partial").integer(1);
  answer.send(out);
}

// ---- HF.USER, HF.CHANNEL

// Sessions of a user as a list, of a channel with their users.
void write_members(ReplyWriter& out, Kind kind, const CommandResult& result) {
  out.bulk("sessions");
  if (kind == Kind::user)
    out.array(result.listed.size());
  else
    out.map(result.listed.size());
  for (const MemberView& member : result.listed) {
    out.bulk(member.id.hex());
    if (kind == Kind::channel) out.bulk(member.user);
  }
}

void answer_members(const RespAnswer& answer, Kind kind, const std::string& name,
                    const CommandResult& result) {
  ReplyWriter out = answer.writer();
  bool more = result.more && !result.listed.empty();
  bool partial = is_partial(result);
  out.map(partial ? 6 : 5);
  out.bulk(kind == Kind::user ? "user" : "channel").bulk(name);
  out.bulk("members").integer(int64_t(result.members));
  if (kind == Kind::user)
    out.bulk("online").integer(result.members > 0 ? 1 : 0);
  else
    out.bulk("subscribers").integer(int64_t(result.subscribers));
  write_members(out, kind, result);
  uint64_t last = more ? result.listed.back().position : 0;
  out.bulk("cursor").bulk(cursor_behind(more, {kind, name}, {.position = last}));
  if (partial) out.bulk("partial").integer(1);
  answer.send(out);
}

void list_members(const RespCall& call, const PageRules& rules) {
  std::string name(call.arguments[1]);
  auto parsed = parse_page_options(rules, call.arguments.subspan(2), name);
  if (auto* error = std::get_if<std::string>(&parsed)) return call.answer.refuse(*error);
  const PageQuery& query = std::get<PageQuery>(parsed);
  Command command{.op = Op::list_members, .page = {.limit = query.limit}};
  if (query.after) command.page.position = query.after->position;
  (rules.kind == Kind::user ? command.users : command.channels).push_back(name);
  call.context.router->execute(
      command, [answer = call.answer, kind = rules.kind, name](CommandResult&& result) {
        answer_members(answer, kind, name, result);
      });
}

// ---- HF.USERS, HF.CHANNELS

constexpr std::string_view kTimedOut = "ERR the other workers did not answer in time; try again";

void answer_names(const RespAnswer& answer, Kind kind, const std::string& prefix,
                  const CommandResult& result) {
  if (is_partial(result)) return answer.refuse(kTimedOut);
  ReplyWriter out = answer.writer();
  bool more = result.more && !result.names.empty();
  std::string last = more ? result.names.back().name : std::string();
  out.array(2).bulk(cursor_behind(more, {kind, prefix}, {.name = last}));
  out.array(result.names.size());
  for (const NameCount& name : result.names) {
    out.array(kind == Kind::channels ? 4 : 3).bulk(name.name).integer(int64_t(name.members));
    if (kind == Kind::channels) out.integer(int64_t(name.subscribers));
    out.integer(int64_t(name.published));
  }
  answer.send(out);
}

void list_names(const RespCall& call, const PageRules& rules, Op op) {
  auto parsed = parse_page_options(rules, call.arguments.subspan(1), {});
  if (auto* error = std::get_if<std::string>(&parsed)) return call.answer.refuse(*error);
  PageQuery& query = std::get<PageQuery>(parsed);
  Command command{.op = op, .page = {.limit = query.limit, .prefix = query.prefix}};
  if (query.after) command.page.after = std::move(query.after->name);
  call.context.router->execute(
      command, [answer = call.answer, kind = rules.kind, prefix = query.prefix](
                   CommandResult&& result) { answer_names(answer, kind, prefix, result); });
}

}  // namespace

void session(const RespCall& call) {
  std::optional<shm::SessionId> id = shm::SessionId::parse(call.arguments[1]);
  if (!id) return call.answer.refuse(no_session_id(call.arguments[1]));
  const shm::SessionDirectory directory = call.context.segment->directory();
  std::optional<shm::SessionView> view;
  if (directory.find(*id)) view = directory.view(id->index());
  if (!view || view->id != *id) return call.answer.send(call.answer.writer().null());
  call.context.router->execute(
      Command{.op = Op::get_session, .sessions = {*id}},
      [answer = call.answer, view = std::move(*view)](CommandResult&& result) {
        answer_session(answer, view, result);
      });
}

// [cursor, [session, user, session, user ...]]
void sessions(const RespCall& call) {
  auto parsed = parse_page_options(kSessionList, call.arguments.subspan(1), {});
  if (auto* error = std::get_if<std::string>(&parsed)) return call.answer.refuse(*error);
  const PageQuery& query = std::get<PageQuery>(parsed);
  SessionPage page =
      read_sessions(call.context.segment->directory(), query.after ? query.after->position : 0,
                    query.limit, query.prefix);
  ReplyWriter out = call.answer.writer();
  out.array(2).bulk(cursor_behind(page.next.has_value(), {Kind::sessions, query.prefix},
                                  {.position = page.next.value_or(0)}));
  out.map(page.sessions.size());
  for (const shm::SessionView& view : page.sessions) out.bulk(view.id.hex()).bulk(view.user);
  call.answer.send(out);
}

void user(const RespCall& call) {
  if (!valid_user(call.arguments[1])) return call.answer.refuse(no_user(call.arguments[1]));
  list_members(call, kUserMembers);
}
void channel(const RespCall& call) {
  if (!valid_channel(call.arguments[1])) return call.answer.refuse(no_channel(call.arguments[1]));
  list_members(call, kChannelMembers);
}

// [cursor, [[name, sessions, messages], ...]]
void users(const RespCall& call) {
  list_names(call, kUserList, Op::list_users);
}
// [cursor, [[name, sessions, subscribers, messages], ...]]
void channels(const RespCall& call) {
  list_names(call, kChannelList, Op::list_channels);
}

}  // namespace holdfast::api::run
