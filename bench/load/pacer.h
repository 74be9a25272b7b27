// bench/load/pacer.h - when the n-th of something is due.
//
// At a rate, due times are fixed in advance: what is sent late is older by that much already when
// it leaves, so a server that stalls the sender does not look faster for it. Without a rate
// everything is due at once. In bursts, so many are due at the same instant, and the rate is the same.
#pragma once

#include <algorithm>
#include <cstdint>

namespace holdfast::bench {

class Pacer {
 public:
  Pacer() = default;
  Pacer(double per_second, uint64_t start_ns, uint32_t burst = 1)
      : rate_(per_second), start_ns_(start_ns), burst_(burst) {}

  bool due(uint64_t now_ns) const { return rate_ <= 0 || next_due_ns() <= now_ns; }
  // When the next one is due; with a rate only.
  uint64_t next_due_ns() const {
    return start_ns_ + uint64_t(double(done_ - done_ % burst_) * 1e9 / rate_);
  }
  // Of the next one, which is hereby done.
  uint64_t take(uint64_t now_ns) {
    uint64_t due = rate_ > 0 ? next_due_ns() : now_ns;
    ++done_;
    return due;
  }
  // The instant to wake up at, `latest_ns` at most.
  uint64_t wake_ns(uint64_t latest_ns) const {
    return rate_ > 0 ? std::min(next_due_ns(), latest_ns) : latest_ns;
  }

 private:
  double rate_ = 0;
  uint64_t start_ns_ = 0;
  uint32_t burst_ = 1;
  uint64_t done_ = 0;
};

}  // namespace holdfast::bench
