// bench/load/options.h - the command line of holdfast-bench as values; the one file here that knows
// CLI11.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "bench/load/handover.h"
#include "conf/config.h"

namespace holdfast::bench {

enum ExitCode : int { kOk = 0, kFailure = 1, kUsage = 2 };

enum class Scenario : uint8_t {
  connect,      // open N connections as fast as allowed, close them
  fanout,       // publish to channels, every connection is a member of one
  unicast,      // send to one session after the other
  echo,         // every connection sends and gets its own messages back
  idle,         // open N connections and look at what they cost
  resp_fanout,  // as fanout, but the connections are RESP subscribers: also of a Redis server
  handover,     // publish to one of the channels, and have the server reload meanwhile
  resume,       // cut N connections that have keys, and come back with them
};
std::string_view name_of(Scenario scenario);

enum class PushProtocol : uint8_t {
  http,   // of holdfastd
  resp,   // HF.SEND; PUBLISH, also of a Redis server
  nchan,  // POST /pub?id=CHANNEL: only channels
};
std::string_view name_of(PushProtocol protocol);

// Connections of one client process: below the 20,000 descriptors it may hold, with some left for
// itself.
inline constexpr uint32_t kMaxPerProcess = 19'900;
inline constexpr uint32_t kMaxProcesses = 256;

struct Options {
  Scenario scenario = Scenario::connect;
  conf::Address address;             // where the server listens for clients
  std::string path;                  // and query; never empty after parsing
  std::optional<conf::Address> api;  // push API; fanouts and unicast need it
  PushProtocol push_protocol = PushProtocol::http;
  std::string token;  // of the API, "" = none
  uint32_t connections = 100;
  uint32_t processes = 0;         // never 0 after parsing: as many as the connections need
  uint32_t parallel = 64;         // hand-shakes under way in one process
  double connect_rate = 0;        // connections a second, all processes; 0 = no limit
  uint32_t channels = 1;          // fanout
  std::string channel = "bench";  // fanout: its name, with more than one the beginning of it
  uint32_t payload_bytes = 64;
  double rate = 0;     // messages a second, all together; 0 = as fast as `outstanding` lets it
  uint32_t burst = 1;  // publishing: so many are due at once
  uint32_t outstanding = 0;  // requests per API connection, or messages per echo connection
  uint32_t api_connections = 1;
  double duration_s = 10;
  double away_s = 0;     // resume: between the cut and the first that comes back
  pid_t server_pid = 0;  // accounting; 0 = none
  bool json = false;
  HandoverOptions handover;

  bool by_channel() const {
    return scenario == Scenario::fanout || scenario == Scenario::resp_fanout ||
           scenario == Scenario::handover;
  }
  bool publishes() const { return by_channel() || scenario == Scenario::unicast; }
  // What the server may deliver independently: channels, or sessions.
  uint32_t addressees() const {
    if (scenario == Scenario::handover) return 1;  // the first channel
    return by_channel() ? channels : connections;
  }
  std::string channel_name(uint32_t index) const {
    return channels == 1 ? channel : channel + "-" + std::to_string(index);
  }
};

// Options, or an exit code when all is said already: help (0), a usage error (2, told on stderr).
std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv);

}  // namespace holdfast::bench
