// ctl/options.h - the command line as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast::ctl {

// The exit status of the process; scripts rely on it (holdfastctl(1)).
enum ExitCode : int { kOk = 0, kFailure = 1, kUsage = 2, kNoInstance = 3 };

enum class Verb : uint8_t {
  // Read the segment.
  stats,
  workers,
  top,
  sessions,
  session,
  // Ask the API.
  users,
  user,
  channels,
  channel,
  history,
  trace,
  // Give orders to the API.
  send,
  send_user,
  send_all,
  publish,
  join,
  leave,
  bind,
  unbind,
  data,
  kick,
  batch,
  // Give orders to the master.
  reload,
  upgrade,
  stop,
  reopen_logs,
  // By itself.
  counters,
  check,
};

enum class DataAction : uint8_t { get, set, merge };
enum class Subject : uint8_t { session, user, channel };

struct Options {
  Verb verb = Verb::stats;
  std::string config_file;            // -c; "" = not given
  std::string instance = "holdfast";  // -i
  bool json = false;

  std::vector<std::string> names;  // counters, or groups of them; empty = all

  bool watch = false;           // stats
  uint64_t interval_ms = 1000;  // stats --watch, top
  bool all = false;             // stats --watch: zeros as well
  uint64_t looks = 0;           // top: end after so many; 0 = never
  uint64_t duration_ms = 0;     // trace: end after it; 0 = never
  uint64_t limit = 0;    // lists: at most so many; 0 = all. top: rows of a list; 0 = what fits
  std::string prefix;    // users, channels; sessions: of the user
  std::string since;     // history: a position; "" = from the oldest, or with reverse the newest
  bool reverse = false;  // history: newest first
  bool follow = false;   // history: and those that come

  std::vector<std::string> sessions;    // session, send, kick, join, leave, bind, unbind, data
  std::vector<std::string> users;       // user, send-user, kick, join, leave, bind, unbind
  std::vector<std::string> channels;    // channel, history, publish, kick, join, leave
  std::vector<std::string> exclude;     // session ids
  std::string key;                      // --id: of idempotency
  std::string message;                  // send...; "-" = stdin
  bool binary = false;                  // send...
  std::optional<uint16_t> code;         // kick
  std::string reason;                   // kick
  DataAction action = DataAction::get;  // data
  std::vector<std::pair<std::string, std::string>> pairs;  // data
  Subject subject = Subject::session;                      // trace
  bool graceful = false;                                   // stop
  std::string file;                                        // check; batch, "-" = stdin
};

// Options, or an exit code if nothing is left to do: help and version (0; 1 if stdout did not take
// it), a usage error (2, reported on stderr, or as JSON with --json).
std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv);

// "500ms", "2s", "5m", "1h", or a number of seconds, "0.5".
std::optional<uint64_t> parse_interval(std::string_view text);

}  // namespace holdfast::ctl
