#include "bench/load/options.h"

#include <CLI/CLI.hpp>

#include "bench/load/payload.h"

namespace holdfast::bench {
namespace {

// Options whose text has to be looked at once more.
struct Texts {
  std::string address, api;  // "" = default
};

void declare_server(CLI::App& app, Options& options, Texts& texts) {
  app.add_option(
      "-a,--address", texts.address,
      "host:port or unix:/path of the server; default 127.0.0.1:8080, resp-fanout: 6379");
  app.add_option("--path", options.path,
                 "path and query of the WebSocket; default /ws, or /ws?channel=bench");
  app.add_option(
      "--api", texts.api,
      "host:port or unix:/path of the push API; default 127.0.0.1:8081, resp-fanout: --address");
  app.add_option("--token", options.token, "token of the API");
  app.add_option("--pid", options.server_pid, "server's process: count its and its children's CPU")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options.json, "one line of JSON instead of a table");
}

void declare_load(CLI::App& app, Options& options) {
  app.add_option("--processes", options.processes, "client processes; 0 = as many as needed")
      ->check(CLI::Range(0u, kMaxProcesses));
  app.add_option("--parallel", options.parallel, "hand-shakes under way in one process")
      ->check(CLI::Range(1u, 4096u))
      ->capture_default_str();
  app.add_option("--connect-rate", options.connect_rate, "connections a second; 0 = no limit")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--payload", options.payload_bytes, "bytes of a message")
      ->check(CLI::Range(uint32_t{kMinPayloadBytes}, uint32_t{16} << 20))
      ->capture_default_str();
  app.add_option("--rate", options.rate, "messages a second, all together; 0 = no limit")
      ->check(CLI::Range(0.0, 1e7))
      ->capture_default_str();
  app.add_option("--burst", options.burst, "so many messages are due at once; the rate stays")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  app.add_option("--outstanding", options.outstanding,
                 "unanswered requests per API connection (16), or messages per echo connection (1)")
      ->check(CLI::Range(1u, 10'000u));
  app.add_option("--duration", options.duration_s, "seconds of load")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
}

static_assert(kMaxPerProcess * kMaxProcesses <= kMaxAddressees);

CLI::App* scenario(CLI::App& app, Options& options, Scenario which, const char* help) {
  CLI::App* sub = app.add_subcommand(std::string(name_of(which)), help);
  sub->callback([&options, which] { options.scenario = which; });
  bool positional =
      which == Scenario::connect || which == Scenario::idle || which == Scenario::resume;
  sub->add_option(positional ? "N" : "-n,--connections", options.connections, "connections")
      ->required(positional)
      ->check(CLI::Range(1u, kMaxPerProcess * kMaxProcesses));
  return sub;
}

void declare_channels(CLI::App& sub, Options& options) {
  sub.add_option("--channels", options.channels, "channels, connections are spread over them")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  sub.add_option("--channel", options.channel, "name, or its beginning")->capture_default_str();
}

void declare_handover(CLI::App& sub, Options& options) {
  HandoverOptions& handover = options.handover;
  sub.add_option("--control", handover.control, "RUNTIME_DIR/control.sock of the server")
      ->required();
  sub.add_option("--server-log", handover.log, "its log, level info: count what it handed over");
  sub.add_option("--reloads", handover.reloads, "how often to reload")
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str();
  sub.add_option("--members", handover.members, "connections that messages are published to")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
}

void declare_scenarios(CLI::App& app, Options& options) {
  scenario(app, options, Scenario::connect, "open N connections, then close them");
  auto* fanout =
      scenario(app, options, Scenario::fanout, "publish to channels that the connections are in");
  auto* unicast = scenario(app, options, Scenario::unicast, "send to one session after the other");
  auto* resp_fanout = scenario(app, options, Scenario::resp_fanout,
                               "PUBLISH to channels that the connections SUBSCRIBE to (RESP)");
  for (CLI::App* sub : {fanout, resp_fanout}) declare_channels(*sub, options);
  const std::map<std::string, PushProtocol> protocols{
      {"http", PushProtocol::http}, {"resp", PushProtocol::resp}, {"nchan", PushProtocol::nchan}};
  auto* handover = scenario(app, options, Scenario::handover,
                            "publish to some of N connections, reload the server meanwhile");
  declare_handover(*handover, options);
  for (CLI::App* sub : {fanout, unicast, handover})
    sub->add_option("--protocol", options.push_protocol,
                    "of the push API: http, resp; nchan for channels of that nginx module")
        ->transform(CLI::CheckedTransformer(protocols));
  for (CLI::App* sub : {fanout, unicast, resp_fanout, handover})
    sub->add_option("--api-connections", options.api_connections, "connections that publish")
        ->check(CLI::Range(1u, 256u))
        ->capture_default_str();
  scenario(app, options, Scenario::echo,
           "send on every connection, wait for the same to come back");
  scenario(app, options, Scenario::idle, "open N connections and hold them");
  auto* resume =
      scenario(app, options, Scenario::resume,
               "cut N connections, come back to their sessions (a listener with resume)");
  resume
      ->add_option("--away", options.away_s,
                   "seconds between the cut and the first that comes back")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
}

// The connections are spread over so many channels that the first one has the members asked for;
// the rate is a client's, and the reloads say when it is over.
void complete_handover(Options& options) {
  options.channels = std::max(options.connections / options.handover.members, 1u);
  if (options.rate == 0) options.rate = 50;
  if (options.outstanding == 0) options.outstanding = 1000;
  options.duration_s = 3600;
}

conf::Address address_of(const char* option, const std::string& text) {
  std::optional<conf::Address> address = conf::parse_address(text);
  if (!address)
    throw CLI::ValidationError(option, "must be ADDRESS:PORT (numeric) or unix:/path, is " + text);
  return *address;
}

// The built-in relay, which the quick start listens with, wants a channel. fanout names its own,
// and echo is for a backend that answers.
std::string default_path(Scenario scenario) {
  bool bare =
      scenario == Scenario::fanout || scenario == Scenario::echo || scenario == Scenario::handover;
  return bare ? "/ws" : "/ws?channel=bench";
}

void complete(Options& options, Texts texts) {
  if (options.scenario == Scenario::handover) complete_handover(options);
  bool resp = options.scenario == Scenario::resp_fanout;
  if (resp) options.push_protocol = PushProtocol::resp;
  if (texts.address.empty()) texts.address = resp ? "127.0.0.1:6379" : "127.0.0.1:8080";
  if (texts.api.empty()) texts.api = resp ? texts.address : "127.0.0.1:8081";
  if (options.push_protocol == PushProtocol::nchan && !options.by_channel())
    throw CLI::ValidationError("--protocol", "nchan knows channels only");
  if (options.path.empty()) options.path = default_path(options.scenario);
  options.address = address_of("--address", texts.address);
  if (options.publishes()) options.api = address_of("--api", texts.api);
  uint32_t needed = (options.connections + kMaxPerProcess - 1) / kMaxPerProcess;
  if (options.processes == 0) options.processes = needed;
  if (options.processes < needed)
    throw CLI::ValidationError("--processes", "too few: one holds at most " +
                                                  std::to_string(kMaxPerProcess) + " connections");
  if (options.channels > options.connections)
    throw CLI::ValidationError("--channels", "more channels than connections");
  if (options.outstanding == 0) options.outstanding = options.scenario == Scenario::echo ? 1 : 16;
}

}  // namespace

std::string_view name_of(Scenario scenario) {
  switch (scenario) {
    case Scenario::connect:
      return "connect";
    case Scenario::fanout:
      return "fanout";
    case Scenario::unicast:
      return "unicast";
    case Scenario::echo:
      return "echo";
    case Scenario::idle:
      return "idle";
    case Scenario::resp_fanout:
      return "resp-fanout";
    case Scenario::handover:
      return "handover";
    case Scenario::resume:
      return "resume";
  }
  return "";
}

std::string_view name_of(PushProtocol protocol) {
  switch (protocol) {
    case PushProtocol::http:
      return "http";
    case PushProtocol::resp:
      return "resp";
    case PushProtocol::nchan:
      return "nchan";
  }
  return "";
}

std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv) {
  Options options;
  Texts texts;
  CLI::App app{"Loads a Holdfast server and checks that nothing is lost, doubled or out of order."};
  app.name("holdfast-bench");
  app.require_subcommand(1);
  app.fallthrough();
  declare_server(app, options, texts);
  declare_load(app, options);
  declare_scenarios(app, options);
  try {
    app.parse(argc, argv);
    complete(options, texts);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return options;
}

}  // namespace holdfast::bench
