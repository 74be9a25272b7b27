// ctl/options.h - the command line as values; the one file of ctl that knows CLI11.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace holdfast::ctl {

// What the process ends with; scripts rely on it (holdfastctl(1)).
enum ExitCode : int { kOk = 0, kFailure = 1, kUsage = 2, kNoInstance = 3 };

enum class Verb : uint8_t {
  stats,
  workers,
  sessions,
  session,
  channels,
  send,
  publish,
  kick,
  join,
  leave,
  reload,
  stop,
  reopen_logs,
  check,
};

struct Options {
  Verb verb = Verb::stats;
  std::string config_file;            // -c; "" = not given
  std::string instance = "holdfast";  // -i
  bool json = false;

  bool watch = false;                 // stats
  double interval_s = 1;              // stats --watch
  bool all = false;                   // stats --watch: zeros as well
  uint32_t limit = 100;               // sessions; channels. 0 = all (sessions)
  std::string prefix;                 // channels
  std::vector<std::string> sessions;  // session, send, kick, join, leave
  std::string channel;                // publish, kick, join, leave
  std::string data;                   // send, publish; "-" = stdin
  bool binary = false;                // send, publish
  std::optional<uint16_t> code;       // kick
  std::string reason;                 // kick
  bool graceful = false;              // stop
  std::string file;                   // check
};

// Options, or an exit code when all is said already: help and version (0), a usage error (2, told
// on stderr).
std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv);

}  // namespace holdfast::ctl
