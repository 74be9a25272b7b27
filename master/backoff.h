// master/backoff.h - how long a slot waits before its next process.
//
// At once after the first crash; 100 ms, doubling up to 10 s, while processes keep dying; from the
// beginning again once the slot has been served for 10 s, by however many processes that handed it
// over. Plain value, one per slot, the master's memory only.
#pragma once

#include <algorithm>
#include <cstdint>

namespace holdfast::master {

class Backoff {
 public:
  static constexpr uint64_t kLongLifeMs = 10'000;
  static constexpr uint64_t kFirstWaitMs = 100;
  static constexpr uint64_t kLongestWaitMs = 10'000;

  // The slot's process died. Returns how long to wait before the next one.
  uint64_t died(uint64_t now_ms) {
    if (now_ms >= calm_at_ms_) next_ms_ = 0;
    uint64_t wait_ms = next_ms_;
    next_ms_ = wait_ms == 0 ? kFirstWaitMs : std::min(wait_ms * 2, kLongestWaitMs);
    calm_at_ms_ = now_ms + wait_ms + kLongLifeMs;
    return wait_ms;
  }

  // Between two images of the master.
  uint64_t next_ms() const { return next_ms_; }
  uint64_t calm_at_ms() const { return calm_at_ms_; }
  void restore(uint64_t next_ms, uint64_t calm_at_ms) {
    next_ms_ = std::min(next_ms, kLongestWaitMs);
    calm_at_ms_ = calm_at_ms;
  }

 private:
  uint64_t next_ms_ = 0;
  uint64_t calm_at_ms_ = 0;
};

}  // namespace holdfast::master
