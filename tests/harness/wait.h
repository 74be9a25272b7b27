// tests/harness/wait.h - waiting for something to become true, the only way a test waits.
#pragma once

#include <poll.h>

#include <cstdlib>
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

}  // namespace holdfast::test
