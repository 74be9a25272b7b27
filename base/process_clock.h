// base/process_clock.h - the time that this process has lived through: the monotonic clock without the gaps in which the
// process stood still (a paused container, a moved machine, a debugger).
//
// A gap is no silence of a peer: the peer stood still as well, or it spoke and was not heard. So deadlines and ages are
// measured by process_ms(), and times that two processes compare (heartbeats, stamps in the segment) by monotonic_ms().
//
// A process that turns a loop looks at this clock at least every second. Two looks that are more than kGapMs apart are a gap:
// all of that time counts as none. The first look notices it, so the time never jumps, not even for one callback.
//   I1  It never goes back, and never on by more than kGapMs between two looks.
//   I2  It is not for code that blocks longer than kGapMs at a time on purpose: such a wait would never end.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace holdfast {

class ProcessClock {
 public:
  static constexpr uint64_t kGapMs = 1'500;

  // The time when the monotonic clock is at `now_ms`.
  uint64_t look(uint64_t now_ms) {
    if (last_ms_ != 0 && now_ms - last_ms_ > kGapMs) {
      stood_still_ms_ += now_ms - last_ms_;
      ++gaps_;
    }
    last_ms_ = now_ms;
    return now_ms - stood_still_ms_;
  }
  uint64_t gaps() const { return gaps_; }
  // All gaps together: by so much the monotonic clock is ahead.
  uint64_t stood_still_ms() const { return stood_still_ms_; }
  // Goes on with the time of a predecessor, whose deadlines come along.
  void continue_from(uint64_t stood_still_ms) { stood_still_ms_ = stood_still_ms; }

 private:
  uint64_t last_ms_ = 0;
  uint64_t stood_still_ms_ = 0;
  uint64_t gaps_ = 0;
};

// This process's; its loop's thread alone looks at it. A forked child goes on with it.
inline ProcessClock process_clock;
inline uint64_t process_ms() {
  return process_clock.look(monotonic_ms());
}

}  // namespace holdfast
