// shm/stats.h - the counters, as data: counters.def makes the struct, the tool's tables, /metrics
// and the man page. The paragraphs that explain an entry are not in here: no worker needs them (ctl/counters.h).
//
// One block per slot. Writer: the worker that serves the slot, relaxed stores (it is alone, so no
// atomic add is needed). Readers sum over all slots. Counters are never set back while the segment
// lives, so a slot's next process goes on counting where the last one stopped; gauges are set to 0
// when the slot's process is gone (master).
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shm/layout.h"

namespace holdfast::shm {

// One word with one writer.
class Cell {
 public:
  void add(uint64_t n = 1) {
    v_.store(v_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(uint64_t n = 1) {
    v_.store(v_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(uint64_t n) { v_.store(n, std::memory_order_relaxed); }
  uint64_t get() const { return v_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> v_;
};

// Log-linear: 8 buckets to each power of two, exact below 8; values are microseconds. At most 12.5%
// off.
struct Histogram {
  static constexpr unsigned kBuckets = 8 + 8 * 29;  // up to 2^32 us
  Cell count, sum;
  Cell buckets[kBuckets];
  void record(uint64_t us);
  static unsigned bucket_of(uint64_t us);
  static uint64_t upper_bound(unsigned bucket);
};

struct StatsFields {
  // Not shown: the slab's high-water mark (see Slab). On a line of its own, because every lookup
  // reads it.
  std::atomic<uint32_t> slab_high_water;
  char unused[kCacheLine - sizeof(uint32_t)];
#define HF_COUNTER(ident, ...) Cell ident;
#define HF_GAUGE(ident, ...) Cell ident;
#define HF_HISTOGRAM(ident, ...) Histogram ident;
#include "shm/counters.def"
#undef HF_COUNTER
#undef HF_GAUGE
#undef HF_HISTOGRAM
};

// Its size is fixed, however much is counted: a newer binary finds room for more counters in an older one's segment. Pages
// that nobody touches cost nothing.
inline constexpr size_t kStatsBytes = 64 * 1024;
struct alignas(kPage) StatsBlock : StatsFields {
  char room[kStatsBytes - sizeof(StatsFields)];
};
static_assert(sizeof(StatsBlock) == kStatsBytes);

enum class StatKind : uint8_t { counter, gauge, histogram };
// What one step of the value is; of a histogram, of what is recorded.
enum class StatUnit : uint8_t { count, bytes, microseconds };
struct StatInfo {
  StatKind kind;
  StatUnit unit;
  std::string_view name;      // "sessions.online"
  std::string_view sentence;  // what is counted, without a stop
  size_t offset;              // in StatsFields, of a Cell or a Histogram
};
// All of counters.def, in its order.
std::span<const StatInfo> all_stats();
const Cell& cell_of(const StatsBlock& block, const StatInfo& info);
const Histogram& histogram_of(const StatsBlock& block, const StatInfo& info);
class Segment;
// One stat over all slots: a counter's or gauge's value, a histogram's count.
uint64_t sum(const Segment& segment, const StatInfo& info);
// Smallest bucket bound such that a share `q` (0..1) of the records is at most it; 0 without
// records.
uint64_t percentile(std::span<const uint64_t> buckets, double q);
// Sets every gauge to 0. Master, for a slot without a process.
void clear_gauges(StatsBlock& block);

}  // namespace holdfast::shm
