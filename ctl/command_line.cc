#include "ctl/command_line.h"

#include <fmt/format.h>

#include <charconv>

namespace holdfast::ctl {
namespace {

constexpr const char* kIdHelp = "session id (32 hex or 22 base64url digits)";
constexpr uint64_t kMostRows = 1'000;

// [a-z0-9_-], 1..32, as conf has it: the name becomes part of a path.
std::string instance_objection(const std::string& name) {
  bool fits = !name.empty() && name.size() <= 32 &&
              name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
  return fits ? "" : "must be 1 to 32 of a-z, 0-9, _ and -";
}

// An option whose value is a duration, stored in milliseconds.
CLI::Option* add_duration(CLI::App* sub, const char* name, uint64_t* ms, uint64_t least,
                          const char* help) {
  return sub
      ->add_option_function<std::string>(
          name, [ms](const std::string& text) { *ms = *parse_interval(text); }, help)
      ->type_name("TIME")
      ->check([least](const std::string& text) -> std::string {
        std::optional<uint64_t> given = parse_interval(text);
        if (given && *given >= least && *given <= 24u * 3'600'000) return {};
        return "\"" + text +
               "\": must be a number of seconds, or one with ms, s, m or h, up to 24h";
      });
}

// CLI11 reads "-1" as a very large number.
std::string count_objection(const std::string& text, uint64_t least, uint64_t most) {
  uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  bool number = error == std::errc{} && end == text.data() + text.size();
  if (number && n >= least && n <= most) return "";
  return most == UINT64_MAX ? fmt::format("must be a number, {} or more", least)
                            : fmt::format("must be a number from {} to {}", least, most);
}

CLI::Option* add_count(CLI::App* sub, const char* name, uint64_t* n,
                       std::pair<uint64_t, uint64_t> range, const char* help) {
  return sub->add_option(name, *n, help)->type_name("N")->check([range](const std::string& text) {
    return count_objection(text, range.first, range.second);
  });
}

// May be given again and again; each time one value, taken literally.
CLI::Option* add_repeated(CLI::App* sub, const char* name, std::vector<std::string>& values,
                          const char* help) {
  return sub->add_option(name, values, help)->allow_extra_args(false);
}

}  // namespace

CommandLine::CommandLine(Options& options) : options_(options) {
  declare_general();
  declare_looks();
  declare_lists();
  declare_trace();
  declare_sending();
  declare_members();
  declare_session_changes();
  declare_control();
}

std::vector<std::string_view> CommandLine::command_names() const {
  std::vector<std::string_view> names;
  for (const CLI::App* sub : app_.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

void CommandLine::declare_general() {
  app_.name("holdfastctl");
  app_.set_version_flag("-V,--version", "holdfastctl " HOLDFAST_VERSION);
  auto* config =
      app_.add_option("-c,--config", options_.config_file, "configuration that names the instance")
          ->type_name("FILE");
  app_.add_option("-i,--instance", options_.instance, "name of the instance")
      ->type_name("NAME")
      ->check([](const std::string& name) { return instance_objection(name); })
      ->excludes(config)
      ->capture_default_str();
  app_.add_flag("--json", options_.json, "one line of JSON instead of text");
  app_.require_subcommand(1);
  app_.fallthrough();
}

CLI::App* CommandLine::command(const char* name, const char* help, Verb verb) {
  CLI::App* sub = app_.add_subcommand(name, help);
  sub->callback([this, verb] { options_.verb = verb; });
  return sub;
}

// ---- options that several commands have

void CommandLine::add_ids(CLI::App* sub) {
  sub->add_option("ID", options_.sessions, kIdHelp);
}

void CommandLine::add_message(CLI::App* sub) {
  sub->add_option("DATA", options_.message, "the message; - reads it from stdin")->required();
  sub->add_flag("--binary", options_.binary, "a binary message, any bytes");
  add_key(sub);
}

void CommandLine::add_users(CLI::App* sub, const char* help) {
  add_repeated(sub, "--user", options_.users, help)->type_name("NAME");
}

void CommandLine::add_channels(CLI::App* sub, const char* help) {
  add_repeated(sub, "--channel", options_.channels, help)->type_name("NAME");
}

void CommandLine::add_exclude(CLI::App* sub) {
  add_repeated(sub, "--exclude", options_.exclude, "sessions to leave out, comma between")
      ->type_name("ID,...")
      ->delimiter(',');
}

void CommandLine::add_key(CLI::App* sub) {
  sub->add_option("--id", options_.key, "idempotency key: repeats do nothing")->type_name("KEY");
}

void CommandLine::add_limit(CLI::App* sub, const char* help) {
  add_count(sub, "--limit", &options_.limit, {0, UINT64_MAX}, help);
}

CLI::Option* CommandLine::add_interval(CLI::App* sub) {
  return add_duration(sub, "--interval", &options_.interval_ms, 100,
                      "between two looks, like 500ms, 2s or 1m [1s]");
}

// ---- commands

void CommandLine::declare_looks() {
  CLI::App* stats = command("stats", "counters and gauges of the instance", Verb::stats);
  auto* watch = stats->add_flag("--watch", options_.watch, "again and again, with rates");
  add_interval(stats)->needs(watch);
  stats->add_flag("--all", options_.all, "with --watch: lines that are zero as well")->needs(watch);
  command("workers", "one line for each worker", Verb::workers);
  CLI::App* top = command("top", "busiest sessions and channels, again and again", Verb::top);
  add_interval(top);
  add_count(top, "--count", &options_.looks, {1, UINT64_MAX}, "end after so many looks");
  add_count(top, "--limit", &options_.limit, {1, kMostRows}, "rows of each list");
}

void CommandLine::declare_lists() {
  constexpr const char* kLimitHelp = "at most so many; 0 = all [0]";
  CLI::App* sessions = command("sessions", "sessions connected now", Verb::sessions);
  add_limit(sessions, kLimitHelp);
  sessions->add_option("--user-prefix", options_.prefix, "only of users whose name begins with it")
      ->type_name("TEXT");
  CLI::App* session = command("session", "one session, its channels and data", Verb::session);
  session->add_option("ID", id_list_, kIdHelp)->required();
  for (auto [name, help, verb] :
       {std::tuple{"users", "users that have a session", Verb::users},
        std::tuple{"channels", "channels that have members", Verb::channels}}) {
    CLI::App* sub = command(name, help, verb);
    add_limit(sub, kLimitHelp);
    sub->add_option("--prefix", options_.prefix, "only names that begin with it")
        ->type_name("TEXT");
  }
  CLI::App* user = command("user", "one user and its sessions", Verb::user);
  user->add_option("NAME", user_, "name of the user")->required();
  add_limit(user, "at most so many sessions; 0 = all [0]");
  CLI::App* channel = command("channel", "one channel and its members", Verb::channel);
  channel->add_option("NAME", name_, "name of the channel")->required();
  add_limit(channel, "at most so many members; 0 = all [0]");
  declare_history();
}

void CommandLine::declare_history() {
  CLI::App* history = command("history", "the kept messages of a channel", Verb::history);
  history->add_option("CHANNEL", name_, "name of the channel")->required();
  history->add_option("--since", options_.since, "only after it; with --reverse before it")
      ->type_name("POSITION");
  add_limit(history, "at most so many messages; 0 = all [0]");
  CLI::Option* limit = history->get_option("--limit");
  CLI::Option* reverse = history->add_flag("--reverse", options_.reverse, "newest first");
  history->add_flag("--follow", options_.follow, "and those that come, until interrupted")
      ->excludes(limit)
      ->excludes(reverse);
}

void CommandLine::declare_trace() {
  CLI::App* trace = command("trace", "live lines of what happens to one of them", Verb::trace);
  trace->add_option("KIND", subject_, "session, user or channel")
      ->required()
      ->check(CLI::IsMember({"session", "user", "channel"}));
  trace->add_option("NAME", name_, "which one")->required();
  add_duration(trace, "--duration", &options_.duration_ms, 1, "end after it, like 30s");
}

void CommandLine::declare_sending() {
  CLI::App* send = command("send", "push a message to sessions", Verb::send);
  send->add_option("ID", id_list_, "session ids, comma between")->required();
  add_message(send);
  CLI::App* send_user = command("send-user", "push a message to all of a user", Verb::send_user);
  send_user->add_option("USER", user_, "name of the user")->required();
  add_message(send_user);
  add_users(send_user, "this user too");
  add_exclude(send_user);
  CLI::App* send_all = command("send-all", "push a message to every session", Verb::send_all);
  add_message(send_all);
  add_exclude(send_all);
  CLI::App* publish = command("publish", "push a message to a channel", Verb::publish);
  publish->add_option("CHANNEL", name_, "name of the channel")->required();
  add_message(publish);
  add_channels(publish, "this channel too");
  add_exclude(publish);
}

void CommandLine::declare_members() {
  for (auto [name, help, verb] :
       {std::tuple{"join", "make sessions members of a channel", Verb::join},
        std::tuple{"leave", "take sessions out of a channel", Verb::leave}}) {
    CLI::App* sub = command(name, help, verb);
    sub->add_option("CHANNEL", name_, "name of the channel")->required();
    add_ids(sub);
    add_users(sub, "all sessions of this user");
    add_channels(sub, "this channel too");
    add_exclude(sub);
    add_key(sub);
  }
  CLI::App* kick = command("kick", "close sessions", Verb::kick);
  add_ids(kick);
  add_users(kick, "all sessions of this user");
  add_channels(kick, "all members of this channel");
  add_exclude(kick);
  kick->add_option("--code", options_.code, "close code: 1000 or 3000 to 4999")
      ->check(CLI::Range(1000, 4999));
  kick->add_option("--reason", options_.reason, "text in the close frame");
  add_key(kick);
}

void CommandLine::declare_session_changes() {
  CLI::App* bind = command("bind", "bind a session to a user", Verb::bind);
  bind->add_option("ID", id_list_, kIdHelp)->required();
  bind->add_option("USER", user_, "name of the user")->required();
  add_key(bind);
  CLI::App* unbind = command("unbind", "take a session's user away", Verb::unbind);
  unbind->add_option("ID", id_list_, kIdHelp)->required();
  unbind->add_option("USER", user_, "only if it is bound to this user");
  add_key(unbind);
  CLI::App* data = command("data", "show or change a session's data", Verb::data);
  data->add_option("ID", id_list_, kIdHelp)->required();
  data->add_option("ACTION", action_, "set: all of it anew; merge: only these keys")
      ->check(CLI::IsMember({"set", "merge"}));
  data->add_option("KEY=VALUE", words_, "an empty value takes the key away");
  add_key(data);
  command("batch", "carry out a list of commands", Verb::batch)
      ->add_option("FILE", options_.file, R"(the API's {"commands":[...]}; - reads stdin)")
      ->required();
}

void CommandLine::declare_control() {
  command("reload", "load the configuration again", Verb::reload);
  command("upgrade", "go on with the binary now on disk", Verb::upgrade);
  command("stop", "stop the instance", Verb::stop)
      ->add_flag("--graceful", options_.graceful, "let sessions end over the stop timeout");
  command("reopen-logs", "open log files anew", Verb::reopen_logs);
  command("counters", "what each counter means", Verb::counters)
      ->add_option("NAME", options_.names, "counters, or groups of them: push.send, push");
  command("check", "check a configuration file", Verb::check)
      ->add_option("FILE", options_.file, "the file; without it the one -c names");
}

// ---- what was given, in its final form

namespace {

std::string split_pairs(const std::vector<std::string>& words, Options& options) {
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos)
      return "data: \"" + word + "\" is not KEY=VALUE";
    options.pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return "";
}

size_t kinds_of_addressees(const Options& options) {
  return size_t{!options.sessions.empty()} + !options.users.empty() +
         (options.verb == Verb::kick && !options.channels.empty());
}

std::string objection(const Options& options) {
  switch (options.verb) {
    case Verb::kick:
      return kinds_of_addressees(options) == 1
                 ? ""
                 : "kick: exactly one of ID, --user and --channel is needed";
    case Verb::join:
    case Verb::leave:
      return kinds_of_addressees(options) == 1 ? "" : "exactly one of ID and --user is needed";
    case Verb::data:
      return options.action == DataAction::merge && options.pairs.empty()
                 ? "data: merge needs at least one KEY=VALUE"
                 : "";
    case Verb::check:
      return options.file.empty() && options.config_file.empty()
                 ? "check: a FILE is needed, here or by -c"
                 : "";
    default:
      return "";
  }
}

}  // namespace

void CommandLine::finish_trace() {
  Subject subject = subject_ == "session" ? Subject::session
                    : subject_ == "user"  ? Subject::user
                                          : Subject::channel;
  options_.subject = subject;
  (subject == Subject::session ? options_.sessions
   : subject == Subject::user  ? options_.users
                               : options_.channels) = {*name_};
}

std::string CommandLine::finish() {
  if (options_.verb == Verb::trace) {
    finish_trace();
    return "";
  }
  if (id_list_) options_.sessions = CLI::detail::split(*id_list_, ',');
  if (user_) options_.users.insert(options_.users.begin(), *user_);
  if (name_) options_.channels.insert(options_.channels.begin(), *name_);
  if (!action_.empty()) options_.action = action_ == "set" ? DataAction::set : DataAction::merge;
  if (std::string wrong = split_pairs(words_, options_); !wrong.empty()) return wrong;
  return objection(options_);
}

}  // namespace holdfast::ctl
