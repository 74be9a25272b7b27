#include "shm/stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "shm/segment.h"

namespace holdfast::shm {
namespace {

constexpr StatInfo kStats[] = {
#define HF_STAT(kind, ident, name, unit, sentence) \
  {StatKind::kind, StatUnit::unit, name, sentence, offsetof(StatsFields, ident)},
#define HF_COUNTER(ident, name, unit, sentence, paragraph) \
  HF_STAT(counter, ident, name, unit, sentence)
#define HF_GAUGE(ident, name, unit, sentence, paragraph) HF_STAT(gauge, ident, name, unit, sentence)
#define HF_HISTOGRAM(ident, name, unit, sentence, paragraph) \
  HF_STAT(histogram, ident, name, unit, sentence)
#include "shm/counters.def"
#undef HF_COUNTER
#undef HF_GAUGE
#undef HF_HISTOGRAM
#undef HF_STAT
};

}  // namespace

// 8 values below 8 have a bucket each; then each power of two [2^p, 2^(p+1)), p >= 3, has 8.
unsigned Histogram::bucket_of(uint64_t us) {
  if (us < 8) return unsigned(us);
  unsigned power = unsigned(std::bit_width(us)) - 1;
  unsigned sub = unsigned(us >> (power - 3)) & 7;
  return std::min(8 + (power - 3) * 8 + sub, kBuckets - 1);
}

// The largest value that falls in the bucket.
uint64_t Histogram::upper_bound(unsigned bucket) {
  if (bucket < 8) return bucket;
  unsigned power = 3 + (bucket - 8) / 8;
  uint64_t step = uint64_t(1) << (power - 3);
  return (uint64_t(1) << power) + (bucket % 8 + 1) * step - 1;
}

void Histogram::record(uint64_t us) {
  count.add();
  sum.add(us);
  buckets[bucket_of(us)].add();
}

std::span<const StatInfo> all_stats() {
  return kStats;
}

const Cell& cell_of(const StatsBlock& block, const StatInfo& info) {
  return *reinterpret_cast<const Cell*>(reinterpret_cast<const char*>(&block) + info.offset);
}

const Histogram& histogram_of(const StatsBlock& block, const StatInfo& info) {
  return *reinterpret_cast<const Histogram*>(reinterpret_cast<const char*>(&block) + info.offset);
}

void clear_gauges(StatsBlock& block) {
#define HF_COUNTER(...)
#define HF_GAUGE(ident, ...) block.ident.set(0);
#define HF_HISTOGRAM(...)
#include "shm/counters.def"
#undef HF_COUNTER
#undef HF_GAUGE
#undef HF_HISTOGRAM
}

uint64_t sum(const Segment& segment, const StatInfo& info) {
  uint64_t all = 0;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    all += cell_of(segment.stats(slot), info).get();  // a Histogram begins with its count
  return all;
}

uint64_t percentile(std::span<const uint64_t> buckets, double q) {
  uint64_t total = 0;
  for (uint64_t n : buckets) total += n;
  if (total == 0) return 0;
  // Rounded up, but 0.07 of 100 is 7 and not the 7.000...01 that the product gives.
  double share = std::clamp(q, 0.0, 1.0) * double(total);
  uint64_t wanted = std::max<uint64_t>(1, uint64_t(std::ceil(share * (1 - 1e-12))));
  uint64_t seen = 0;
  for (unsigned b = 0; b < buckets.size(); ++b)
    if ((seen += buckets[b]) >= wanted) return Histogram::upper_bound(b);
  return Histogram::upper_bound(unsigned(buckets.size()) - 1);
}

}  // namespace holdfast::shm
