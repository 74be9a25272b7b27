// master/backoff.h - how long a slot waits before its next process.
//
// At once after the first crash; 100 ms, doubling up to 10 s, while processes keep dying within 10
// s of their start; from the beginning again after one that lived longer. Plain value, one per
// slot, the master's memory only.
#pragma once

#include <algorithm>
#include <cstdint>

namespace holdfast::master {

class Backoff {
 public:
  static constexpr uint64_t kLongLifeMs = 10'000;
  static constexpr uint64_t kFirstWaitMs = 100;
  static constexpr uint64_t kLongestWaitMs = 10'000;

  // A process that lived `lived_ms` is gone. Returns how long to wait before the next one.
  uint64_t died(uint64_t lived_ms) {
    if (lived_ms >= kLongLifeMs) next_ms_ = 0;
    uint64_t wait_ms = next_ms_;
    next_ms_ = wait_ms == 0 ? kFirstWaitMs : std::min(wait_ms * 2, kLongestWaitMs);
    return wait_ms;
  }

  // Between two images of the master.
  uint64_t save() const { return next_ms_; }
  void restore(uint64_t next_ms) { next_ms_ = std::min(next_ms, kLongestWaitMs); }

 private:
  uint64_t next_ms_ = 0;
};

}  // namespace holdfast::master
