// tests/harness/wait.h - waiting for something to become true, the only way a test waits.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "base/clock.h"

namespace holdfast::test {

// Bound of every wait; HF_TEST_TIMEOUT_MS overrides (sanitizers, slow machines).
inline int timeout_ms() {
  const char* set = std::getenv("HF_TEST_TIMEOUT_MS");
  return set != nullptr ? std::atoi(set) : 10'000;
}

// Asks until the answer is true or `ms` have passed; poll(2) without descriptors gives the processor away between.
inline bool eventually(const std::function<bool()>& condition, int ms = timeout_ms()) {
  uint64_t end = monotonic_ms() + uint64_t(ms);
  while (!condition()) {
    if (monotonic_ms() > end) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

inline bool is_stopped(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.substr(name_end, 3) == ") T";
}

// Sends SIGCONT to a process that is about to stop itself, once it has: sent earlier, the signal would be lost on it.
// False: it has not stopped in time.
inline bool continue_when_stopped(pid_t pid) {
  return eventually([pid] { return is_stopped(pid); }) && kill(pid, SIGCONT) == 0;
}

}  // namespace holdfast::test
