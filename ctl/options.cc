#include "ctl/options.h"

#include <CLI/CLI.hpp>

namespace holdfast::ctl {
namespace {

constexpr const char* kIdHelp = "session id (32 hex or 22 base64url digits)";

// [a-z0-9_-], 1..32, as conf has it: the name becomes part of a path.
std::string instance_objection(const std::string& name) {
  bool fits = !name.empty() && name.size() <= 32 &&
              name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
  return fits ? "" : "must be 1 to 32 of a-z, 0-9, _ and -";
}

// Declares commands one after the other; `chosen` is where a command that was given leaves its
// verb.
class CommandLine {
 public:
  explicit CommandLine(Options& options) : options_(options) {
    app_.name("holdfastctl");
    app_.set_version_flag("-V,--version", "holdfastctl " HOLDFAST_VERSION);
    auto* config = app_.add_option("-c,--config", options_.config_file,
                                   "configuration that names the instance");
    app_.add_option("-i,--instance", options_.instance, "name of the instance")
        ->check(CLI::Validator([](std::string& name) { return instance_objection(name); }, "NAME",
                               "instance"))
        ->excludes(config)
        ->capture_default_str();
    app_.add_flag("--json", options_.json, "one line of JSON instead of text");
    app_.require_subcommand(1);
    app_.fallthrough();
    declare_reading();
    declare_pushing();
    declare_control();
  }

  CLI::App& app() { return app_; }

 private:
  CLI::App* command(const char* name, const char* help, Verb verb) {
    CLI::App* sub = app_.add_subcommand(name, help);
    sub->callback([this, verb] { options_.verb = verb; });
    return sub;
  }

  void declare_reading() {
    CLI::App* stats = command("stats", "counters and gauges of the instance", Verb::stats);
    auto* watch = stats->add_flag("--watch", options_.watch, "again and again, with rates");
    stats->add_option("--interval", options_.interval_s, "seconds between two looks")
        ->check(CLI::Range(0.1, 3600.0))
        ->needs(watch)
        ->capture_default_str();
    stats->add_flag("--all", options_.all, "with --watch: lines that are zero as well")
        ->needs(watch);
    command("workers", "one line for each worker", Verb::workers);
    CLI::App* sessions = command("sessions", "sessions connected now", Verb::sessions);
    sessions->add_option("--limit", options_.limit, "at most so many; 0 = all")
        ->capture_default_str();
    CLI::App* session = command("session", "one session", Verb::session);
    session->add_option("ID", options_.sessions, kIdHelp)->required()->expected(1);
  }

  void declare_pushing() {
    CLI::App* channels = command("channels", "channels that have members", Verb::channels);
    channels->add_option("--limit", options_.limit, "at most so many")
        ->check(CLI::Range(1u, 10'000u))
        ->capture_default_str();
    channels->add_option("--prefix", options_.prefix, "only names that begin with it");
    CLI::App* send = command("send", "push a message to sessions", Verb::send);
    send->add_option("ID", send_ids_, "session ids, comma between")->required();
    send->callback([this] {
      options_.verb = Verb::send;
      options_.sessions = CLI::detail::split(send_ids_, ',');
    });
    add_data(send);
    CLI::App* publish = command("publish", "push a message to a channel", Verb::publish);
    publish->add_option("CHANNEL", options_.channel, "name of the channel")->required();
    add_data(publish);
    declare_members();
  }

  void add_data(CLI::App* sub) {
    sub->add_option("DATA", options_.data, "the message; - reads it from stdin")->required();
    sub->add_flag("--binary", options_.binary, "a binary message, any bytes");
  }

  void declare_members() {
    CLI::App* kick = command("kick", "close sessions", Verb::kick);
    auto* ids = kick->add_option("ID", options_.sessions, kIdHelp);
    kick->add_option("--channel", options_.channel, "all members of a channel")->excludes(ids);
    kick->add_option("--code", options_.code, "close code: 1000 or 3000 to 4999")
        ->check(CLI::Range(1000, 4999));
    kick->add_option("--reason", options_.reason, "text in the close frame");
    for (auto [name, help, verb] :
         {std::tuple{"join", "make sessions members of a channel", Verb::join},
          std::tuple{"leave", "take sessions out of a channel", Verb::leave}}) {
      CLI::App* sub = command(name, help, verb);
      sub->add_option("CHANNEL", options_.channel, "name of the channel")->required();
      sub->add_option("ID", options_.sessions, kIdHelp)->required();
    }
  }

  void declare_control() {
    command("reload", "load the configuration again", Verb::reload);
    command("stop", "stop the instance", Verb::stop)
        ->add_flag("--graceful", options_.graceful, "let sessions end over the drain timeout");
    command("reopen-logs", "open log files anew", Verb::reopen_logs);
    command("check", "check a configuration file", Verb::check)
        ->add_option("FILE", options_.file, "the file; without it the one -c names");
  }

  Options& options_;
  std::string send_ids_;
  CLI::App app_{"Looks at a running Holdfast and tells it what to do."};
};

// What CLI11's options cannot say by themselves. "" if nothing is wrong.
std::string objection(const Options& options) {
  if (options.verb == Verb::kick && options.sessions.empty() && options.channel.empty())
    return "kick: one ID or --channel is needed";
  if (options.verb == Verb::check && options.file.empty() && options.config_file.empty())
    return "check: a FILE is needed, here or by -c";
  return "";
}

}  // namespace

std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv) {
  Options options;
  CommandLine line(options);
  try {
    line.app().parse(argc, argv);
    if (std::string why = objection(options); !why.empty()) throw CLI::ValidationError(why);
  } catch (const CLI::ParseError& error) {
    return line.app().exit(error) == 0 ? kOk : kUsage;
  }
  return options;
}

}  // namespace holdfast::ctl
