// bench/load/histogram.h - latencies in nanoseconds, log-linear, at most 3.2% off.
//
// 32 buckets to each power of two, exact below 32; 2^40 ns (18 minutes) and more fall into the
// last. Plain words without pointers, so it can lie in memory that processes share: one process
// records, the driver reads when that one is done.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace holdfast::bench {

class LatencyHistogram {
 public:
  static constexpr unsigned kLinear = 32;  // buckets to a power of two
  static constexpr unsigned kBuckets = kLinear + kLinear * (40 - 5);

  void record(uint64_t ns) {
    ++buckets_[bucket_of(ns)];
    ++count_;
    sum_ += ns;
    if (ns > max_) max_ = ns;
  }
  void merge(const LatencyHistogram& other) {
    for (unsigned b = 0; b < kBuckets; ++b) buckets_[b] += other.buckets_[b];
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.max_ > max_) max_ = other.max_;
  }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  // Smallest bound such that the share `q` (0..1) of the records is at most it, never above max();
  // 0 without records.
  uint64_t quantile(double q) const {
    uint64_t below = 0;
    for (unsigned b = 0; b < kBuckets; ++b) {
      below += buckets_[b];
      if (below > 0 && double(below) >= q * double(count_)) {
        uint64_t bound = upper_bound(b);
        return bound < max_ && b + 1 < kBuckets ? bound : max_;
      }
    }
    return 0;
  }

  static unsigned bucket_of(uint64_t ns) {
    if (ns < kLinear) return unsigned(ns);
    auto power = unsigned(std::bit_width(ns) - 1);  // at least 5
    if (power >= 40) return kBuckets - 1;
    return kLinear + (power - 5) * kLinear + unsigned((ns >> (power - 5)) & (kLinear - 1));
  }
  // The largest value of a bucket.
  static uint64_t upper_bound(unsigned bucket) {
    if (bucket < kLinear) return bucket;
    unsigned power = (bucket - kLinear) / kLinear + 5;
    uint64_t step = (bucket - kLinear) % kLinear;
    return ((kLinear + step + 1) << (power - 5)) - 1;
  }

 private:
  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

}  // namespace holdfast::bench
