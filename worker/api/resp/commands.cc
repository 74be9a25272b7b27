#include "worker/api/resp/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "conf/config.h"
#include "worker/api/resp/handlers.h"

namespace holdfast::api {
namespace {

using conf::kScopePush;
using conf::kScopeQuery;
using resp::ReplyWriter;

constexpr unsigned kChange = kChangesState;
constexpr unsigned kSubscribe = kWhileSubscribed | kWaits | kNotInMulti;
constexpr RespCommand kCommands[] = {
    {"auth", -2, 0, kNeedsNobody, run::auth},
    {"client", -2, 0, kContainer, nullptr},
    {"client|getname", 2, 0, 0, run::client_getname},
    {"client|help", 2, 0, 0, run::help},
    {"client|id", 2, 0, 0, run::client_id},
    {"client|setinfo", 4, 0, 0, run::client_setinfo},
    {"client|setname", 3, 0, 0, run::client_setname},
    {"command", -1, 0, kContainer, run::command},
    {"command|count", 2, 0, 0, run::command_count},
    {"command|docs", -2, 0, 0, run::command_docs},
    {"command|help", 2, 0, 0, run::help},
    {"command|info", -2, 0, 0, run::command_info},
    {"command|list", -2, 0, 0, run::command_list},
    {"discard", 1, 0, kAtOnce, run::discard},
    {"echo", 2, 0, 0, run::echo},
    {"exec", 1, 0, kAtOnce | kWaits | kChange, run::exec},
    {"hello", -1, 0, kNeedsNobody | kWaits | kNotInMulti, run::hello},
    {"hf.bind", 3, kScopePush, kChange, run::bind},
    {"hf.channel", -2, kScopeQuery, 0, run::channel},
    {"hf.channels", -1, kScopeQuery, 0, run::channels},
    {"hf.data", -3, kScopePush, kChange, run::data},
    {"hf.delhistory", 2, kScopePush, kChange, run::delete_history},
    {"hf.history", -2, kScopeQuery, 0, run::history},
    {"hf.join", -3, kScopePush, kChange, run::join},
    {"hf.joinuser", -3, kScopePush, kChange, run::join_user},
    {"hf.kick", -2, kScopePush, kChange, run::kick},
    {"hf.kickchannel", -2, kScopePush, kChange, run::kick_channel},
    {"hf.kickuser", -2, kScopePush, kChange, run::kick_user},
    {"hf.leave", -3, kScopePush, kChange, run::leave},
    {"hf.leaveuser", -3, kScopePush, kChange, run::leave_user},
    {"hf.publish", -3, kScopePush, 0, run::publish_kept},
    {"hf.send", 3, kScopePush, 0, run::send},
    {"hf.sendall", 2, kScopePush, 0, run::send_all},
    {"hf.senduser", 3, kScopePush, 0, run::send_user},
    {"hf.session", 2, kScopeQuery, 0, run::session},
    {"hf.sessions", -1, kScopeQuery, 0, run::sessions},
    {"hf.stats", 1, kScopeQuery, 0, run::stats},
    {"hf.subscribe", -2, kScopeQuery, kSubscribe, run::follow},
    {"hf.unbind", -2, kScopePush, kChange, run::unbind},
    {"hf.user", -2, kScopeQuery, 0, run::user},
    {"hf.users", -1, kScopeQuery, 0, run::users},
    {"info", -1, kScopeQuery, 0, run::info},
    {"multi", 1, 0, kAtOnce, run::multi},
    {"ping", -1, 0, kWhileSubscribed, run::ping},
    {"psubscribe", -2, kScopeQuery, kSubscribe, run::psubscribe},
    {"publish", 3, kScopePush, 0, run::publish},
    {"pubsub", -2, kScopeQuery, kContainer, nullptr},
    {"pubsub|channels", -2, kScopeQuery, 0, run::pubsub_channels},
    {"pubsub|help", 2, 0, 0, run::help},
    {"pubsub|numpat", 2, kScopeQuery, 0, run::pubsub_numpat},
    {"pubsub|numsub", -2, kScopeQuery, kWaits, run::pubsub_numsub},
    {"pubsub|shardchannels", -2, kScopeQuery, 0, run::pubsub_shardchannels},
    {"pubsub|shardnumsub", -2, kScopeQuery, kWaits, run::pubsub_shardnumsub},
    {"punsubscribe", -1, 0, kSubscribe, run::punsubscribe},
    {"quit", -1, 0, kNeedsNobody | kWhileSubscribed | kWaits | kEnds | kAtOnce, run::quit},
    {"reset", 1, 0, kNeedsNobody | kWhileSubscribed | kWaits | kAtOnce, run::reset},
    {"select", 2, 0, 0, run::select},
    {"spublish", 3, kScopePush, 0, run::spublish},
    {"ssubscribe", -2, kScopeQuery, kSubscribe, run::ssubscribe},
    {"subscribe", -2, kScopeQuery, kSubscribe, run::subscribe},
    {"sunsubscribe", -1, 0, kSubscribe, run::sunsubscribe},
    {"unsubscribe", -1, 0, kSubscribe, run::unsubscribe},
    {"unwatch", 1, 0, 0, run::unwatch},
    {"watch", -2, 0, kAtOnce, run::watch},
};

constexpr bool by_name(const RespCommand& a, const RespCommand& b) {
  return a.name < b.name;
}
static_assert(std::is_sorted(std::begin(kCommands), std::end(kCommands), by_name));

// A name as the table has it; of more than the longest there an end that no row has.
class Key {
 public:
  void add(std::string_view word) {
    for (char c : word.substr(0, sizeof text_ - size_))
      text_[size_++] = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  }
  std::string_view text() const { return {text_, size_}; }

 private:
  char text_[32];
  size_t size_ = 0;
};

const RespCommand* row(std::string_view name) {
  static const auto rows = [] {
    std::unordered_map<std::string_view, const RespCommand*> by_name;
    for (const RespCommand& command : kCommands) by_name.emplace(command.name, &command);
    return by_name;
  }();
  auto found = rows.find(name);
  return found == rows.end() ? nullptr : found->second;
}

const RespCommand* row(std::string_view command, std::string_view subcommand) {
  Key key;
  key.add(command);
  if (!subcommand.empty()) {
    key.add("|");
    key.add(subcommand);
  }
  return row(key.text());
}

bool is_subcommand(const RespCommand& command) {
  return command.name.find('|') != std::string_view::npos;
}

// A Redis server formats with printf, which sees the end of a text in a NUL.
std::string_view printed(std::string_view text, size_t max) {
  return text.substr(0, std::min(text.find('\0'), max));
}

std::string unknown_command(resp::Arguments arguments) {
  constexpr size_t kMax = 128;
  std::string shown_arguments;
  for (std::string_view argument : arguments.subspan(1)) {
    if (shown_arguments.size() >= kMax) break;
    shown_arguments += fmt::format("'{}' ", printed(argument, kMax - shown_arguments.size()));
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                     printed(arguments[0], kMax), shown_arguments);
}

std::string upper_case(std::string_view name) {
  std::string upper(name);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');
  return upper;
}

std::string unknown_subcommand(const RespCommand& container, std::string_view word) {
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", printed(word, 128),
                     upper_case(container.name));
}

bool fits(const RespCommand& command, size_t arguments) {
  return command.arity > 0 ? arguments == size_t(command.arity)
                           : arguments >= size_t(-command.arity);
}

// name, arity, flags, first key, last key, step (no command has keys), categories, tips, keys, subcommands
void describe(ReplyWriter& out, const RespCommand& command) {
  out.array(10).bulk(command.name).integer(command.arity);
  if ((command.flags & kNeedsNobody) != 0)
    out.set(1).status("no_auth");
  else
    out.set(0);
  out.integer(0).integer(0).integer(0).set(0).set(0).set(0).set(0);
}

size_t count_commands() {
  return size_t(std::count_if(std::begin(kCommands), std::end(kCommands),
                              [](const RespCommand& c) { return !is_subcommand(c); }));
}

void describe_all(const RespCall& call) {
  ReplyWriter out = call.answer.writer();
  out.array(count_commands());
  for (const RespCommand& command : kCommands)
    if (!is_subcommand(command)) describe(out, command);
  call.answer.send(out);
}

}  // namespace

std::span<const RespCommand> resp_commands() {
  return kCommands;
}

std::variant<const RespCommand*, std::string> find_command(resp::Arguments arguments) {
  const RespCommand* command = row(arguments[0], {});
  if (command == nullptr || is_subcommand(*command)) return unknown_command(arguments);
  if ((command->flags & kContainer) != 0 && arguments.size() > 1) {
    const RespCommand* meant = row(arguments[0], arguments[1]);
    if (meant == nullptr || arguments[1].empty()) return unknown_subcommand(*command, arguments[1]);
    command = meant;
  }
  if (!fits(*command, arguments.size()))
    return fmt::format("ERR wrong number of arguments for '{}' command", command->name);
  return command;
}

std::string refusal_of(const ApiContext& context, const RespState& state,
                       const RespCommand& command) {
  if (state.scopes == 0 && (command.flags & kNeedsNobody) == 0) {
    context.stats->api_unauthorized.add();
    return "NOAUTH Authentication required.";
  }
  if ((command.scopes & ~state.scopes) != 0 && (state.scopes & conf::kScopeAdmin) == 0) {
    context.stats->api_forbidden.add();
    return fmt::format("NOPERM this user has no permissions to run the '{}' command", command.name);
  }
  return {};
}

namespace run {

void command(const RespCall& call) {
  describe_all(call);
}

void command_count(const RespCall& call) {
  call.answer.integer(count_commands());
}

// What our commands do stands in holdfast-api(7), not here: clients get along without.
void command_docs(const RespCall& call) {
  call.answer.send(call.answer.writer().map(0));
}

void command_info(const RespCall& call) {
  resp::Arguments names = call.arguments.subspan(2);
  if (names.empty()) return describe_all(call);
  ReplyWriter out = call.answer.writer();
  out.array(names.size());
  for (std::string_view name : names) {
    const RespCommand* command = row(name, {});
    if (command != nullptr)
      describe(out, *command);
    else
      out.null();
  }
  call.answer.send(out);
}

void command_list(const RespCall& call) {
  if (call.arguments.size() > 2) return call.answer.refuse("ERR syntax error");
  ReplyWriter out = call.answer.writer();
  out.array(count_commands());
  for (const RespCommand& command : kCommands)
    if (!is_subcommand(command)) out.bulk(command.name);
  call.answer.send(out);
}

// The subcommands of a container, as lines.
void help(const RespCall& call) {
  std::string container = upper_case(call.arguments[0]);
  std::vector<std::string> lines{container + " <subcommand> [<arg> ...]. Subcommands are:"};
  for (const RespCommand& command : kCommands)
    if (upper_case(command.name).starts_with(container + "|"))
      lines.push_back(upper_case(command.name.substr(container.size() + 1)));
  ReplyWriter out = call.answer.writer();
  out.array(lines.size());
  for (const std::string& line : lines) out.status(line);
  call.answer.send(out);
}

}  // namespace run
}  // namespace holdfast::api
