// base/log.h - the lines that the operator reads.
//
// A line has the event, its subject, our reaction, and the operator's options: `worker died slot=1 pid=812
// signal=11; respawning in 200 ms`. Lower case, key=value. One sink per process, set by open_log(); before
// that lines go to stderr. Never from a signal handler.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast {

enum class LogLevel : uint8_t { trace, debug, info, warn, error };

struct LogSettings {
  LogLevel level = LogLevel::info;
  std::string target = "stderr";  // or a file path, opened for appending
  bool json = false;
};

// Opens the target; makes no folders for it. On failure the old sink stays. The name ("master", "worker 0") stands in every line.
Result<void> open_log(const LogSettings& settings, std::string_view process_name);
// Opens the same target anew (after the file was moved away). On failure the old sink stays.
Result<void> reopen_log();
bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view text);
// An error line that goes to stderr too if the log is a file: people who start a server by hand look there.
void log_aloud(std::string_view text);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> f, Args&&... a) {
  log(LogLevel::debug, f, std::forward<Args>(a)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> f, Args&&... a) {
  log(LogLevel::info, f, std::forward<Args>(a)...);
}
template <class... Args>
void log_warn(fmt::format_string<Args...> f, Args&&... a) {
  log(LogLevel::warn, f, std::forward<Args>(a)...);
}
template <class... Args>
void log_error(fmt::format_string<Args...> f, Args&&... a) {
  log(LogLevel::error, f, std::forward<Args>(a)...);
}

// At most one line a second from one place: `if (auto n = gate.pass()) log_warn("... ({} alike)", n)`.
class LogGate {
 public:
  // 0: keep quiet. n >= 1: write a line, for n events since the last one.
  uint64_t pass() {
    ++held_;
    uint64_t now = monotonic_ms();
    if (now < next_ms_) return 0;
    next_ms_ = now + 1000;
    uint64_t n = held_;
    held_ = 0;
    return n;
  }

 private:
  uint64_t next_ms_ = 0;
  uint64_t held_ = 0;
};

}  // namespace holdfast
