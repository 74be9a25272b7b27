// RESP commands that push or change something: each builds one Command, and answers how many sessions
// (of a channel: and subscribers) it reached.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "worker/api/http/json_command.h"
#include "worker/api/resp/handlers.h"
#include "worker/api/settle.h"
#include "worker/channels/hub.h"
#include "worker/sessions/session.h"

namespace holdfast::api::run {
namespace {

using resp::Arguments;
using Error = std::optional<std::string>;  // begins with its code

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

// What an answer that is a number cannot say.
Error failure_of(Op op, const CommandResult& result) {
  if (op == Op::data && result.refused > 0)
    return fmt::format("ERR the session's data would be more than {} bytes; nothing was changed",
                       kMaxDataBytes);
  if (result.delivered > 0) return {};
  if (result.refused > 0)
    return "ERR no session joined: limits.max_channels_per_session is reached";
  if (!result.failed.empty() || result.workers_failed > 0)
    return "TRYAGAIN nothing was done: the mailboxes of the workers concerned are full";
  if (result.partial)
    return "ERR the workers concerned did not answer in time: whether it was done is not known";
  return {};
}

void execute(const RespCall& call, Command& command) {
  if (std::optional<ApiError> error = settle(call.context, command))
    return call.answer.refuse("ERR " + error->message);
  command.source = call.answer.source();
  call.context.router->execute(command,
                               [answer = call.answer, op = command.op](CommandResult&& result) {
                                 if (Error error = failure_of(op, result))
                                   return answer.refuse(*error);
                                 answer.integer(result.delivered);
                               });
}

void execute_or_refuse(const RespCall& call, Command& command, const Error& error) {
  return error ? call.answer.refuse(*error) : execute(call, command);
}

// ---- arguments

Error add_session(Command& command, std::string_view text) {
  std::optional<shm::SessionId> id = shm::SessionId::parse(text);
  if (!id) return no_session_id(text);
  command.sessions.push_back(*id);
  return {};
}
Error add_channel(Command& command, std::string_view name) {
  if (!valid_channel(name)) return no_channel(name);
  command.channels.emplace_back(name);
  return {};
}
Error add_user(Command& command, std::string_view name) {
  if (!valid_user(name)) return no_user(name);
  command.users.emplace_back(name);
  return {};
}

template <auto Add>
Error add_all(Command& command, Arguments names) {
  if (names.size() > kMaxSessionsPerCall)
    return fmt::format("ERR at most {} in one command", kMaxSessionsPerCall);
  for (std::string_view name : names)
    if (Error error = Add(command, name)) return error;
  return {};
}

// Text where it is UTF-8, else binary.
Error add_message(const RespCall& call, Command& command, std::string_view message) {
  size_t max = call.context.config->limits.max_message_size;
  if (message.size() > max)
    return fmt::format("ERR message of {} bytes; limits.max_message_size is {}", message.size(),
                       max);
  command.data = message;
  command.binary = !is_utf8(message);
  return {};
}

// [code [reason]]
Error add_farewell(Command& command, Arguments rest) {
  command.code = kDefaultKickCode;
  if (!rest.empty()) {
    uint16_t code = 0;
    const char* end = rest[0].data() + rest[0].size();
    auto [stopped, failed] = std::from_chars(rest[0].data(), end, code);
    bool whole = failed == std::errc() && stopped == end;
    if (!whole || (code != 1000 && (code < 3000 || code > 4999)))
      return "ERR code must be 1000 or a whole number from 3000 to 4999";
    command.code = code;
  }
  if (rest.size() > 1) {
    if (rest[1].size() > kMaxReasonBytes || !is_utf8(rest[1]))
      return fmt::format("ERR reason must be at most {} bytes of UTF-8", kMaxReasonBytes);
    command.reason = rest[1];
  }
  return {};
}

bool has_repeated_key(const Command& command) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : command.pairs) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

// key value [key value ...]
Error add_pairs(Command& command, Arguments rest) {
  if (rest.size() > 2 * kMaxDataPairs)
    return fmt::format("ERR at most {} keys in one command", kMaxDataPairs);
  size_t bytes = 0;
  for (size_t i = 0; i < rest.size(); i += 2) {
    std::string_view key = rest[i], value = rest[i + 1];
    if (key.empty() || !is_utf8(key) || !is_utf8(value))
      return "ERR keys and values must be UTF-8, and keys not empty";
    if (!value.empty()) bytes += key.size() + value.size();
    command.pairs.emplace_back(key, value);
  }
  if (has_repeated_key(command)) return "ERR a key is given twice";
  if (bytes > kMaxDataBytes)
    return fmt::format("ERR {} bytes of keys and values; a session holds {}", bytes, kMaxDataBytes);
  return {};
}

// ---- shapes that several commands have

std::string wrong_number(const RespCall& call) {
  std::string name(call.arguments[0]);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return fmt::format("ERR wrong number of arguments for '{}' command", name);
}

// NAME [code [reason]]
template <auto Add>
void kick_all_of(const RespCall& call) {
  if (call.arguments.size() > 4) return call.answer.refuse(wrong_number(call));
  Command command{.op = Op::kick};
  Error error = Add(command, call.arguments[1]);
  if (!error) error = add_farewell(command, call.arguments.subspan(2));
  execute_or_refuse(call, command, error);
}

// channel NAME [NAME ...]
template <auto Add>
void change_membership(const RespCall& call, Op op) {
  Command command{.op = op};
  Error error = add_channel(command, call.arguments[1]);
  if (!error) error = add_all<Add>(command, call.arguments.subspan(2));
  execute_or_refuse(call, command, error);
}

// NAME message
template <auto Add>
void push_to(const RespCall& call, Op op) {
  Command command{.op = op};
  Error error = Add(command, call.arguments[1]);
  if (!error) error = add_message(call, command, call.arguments[2]);
  execute_or_refuse(call, command, error);
}

}  // namespace

void publish(const RespCall& call) {
  push_to<add_channel>(call, Op::publish);
}
// To the sharded channel, and to the sessions in the channel of that name.
void spublish(const RespCall& call) {
  Command command{.op = Op::publish, .sharded = true};
  Error error = add_channel(command, call.arguments[1]);
  if (!error) error = add_message(call, command, call.arguments[2]);
  if (!error) command.channels.push_back(reserved_name(NameKind::shard, call.arguments[1]));
  execute_or_refuse(call, command, error);
}
void send(const RespCall& call) {
  push_to<add_session>(call, Op::send);
}
void send_user(const RespCall& call) {
  push_to<add_user>(call, Op::send_user);
}
void send_all(const RespCall& call) {
  Command command{.op = Op::send_all};
  Error error = add_message(call, command, call.arguments[1]);
  execute_or_refuse(call, command, error);
}

void join(const RespCall& call) {
  change_membership<add_session>(call, Op::join);
}
void join_user(const RespCall& call) {
  change_membership<add_user>(call, Op::join);
}
void leave(const RespCall& call) {
  change_membership<add_session>(call, Op::leave);
}
void leave_user(const RespCall& call) {
  change_membership<add_user>(call, Op::leave);
}

void kick(const RespCall& call) {
  kick_all_of<add_session>(call);
}
void kick_user(const RespCall& call) {
  kick_all_of<add_user>(call);
}
void kick_channel(const RespCall& call) {
  kick_all_of<add_channel>(call);
}

void bind(const RespCall& call) {
  Command command{.op = Op::bind};
  Error error = add_session(command, call.arguments[1]);
  if (!error) error = add_user(command, call.arguments[2]);
  execute_or_refuse(call, command, error);
}

// id [the user it is believed to be bound to]
void unbind(const RespCall& call) {
  if (call.arguments.size() > 3) return call.answer.refuse(wrong_number(call));
  Command command{.op = Op::unbind};
  Error error = add_session(command, call.arguments[1]);
  if (!error) error = add_all<add_user>(command, call.arguments.subspan(2));
  execute_or_refuse(call, command, error);
}

// id SET [key value ...], id MERGE key value [key value ...]
void data(const RespCall& call) {
  Arguments pairs = call.arguments.subspan(3);
  Command command{.op = Op::data};
  command.merge = same_word(call.arguments[2], "MERGE");
  if (!command.merge && !same_word(call.arguments[2], "SET"))
    return call.answer.refuse("ERR syntax error: SET or MERGE comes behind the session id");
  if (pairs.size() % 2 != 0 || (command.merge && pairs.empty()))
    return call.answer.refuse(wrong_number(call));
  Error error = add_session(command, call.arguments[1]);
  if (!error) error = add_pairs(command, pairs);
  execute_or_refuse(call, command, error);
}

}  // namespace holdfast::api::run
