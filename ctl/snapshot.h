// ctl/snapshot.h - all counters of an instance at one instant, and their changes between two.
//
// Copied out of the segment without asking any process, so it works while workers hang. Words are
// read one after the other; sums need not fit each other to the last event. Counters never go back
// while one segment lives; two snapshots of different segments (a restart between them) differ in
// started_wall_ms.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "shm/segment.h"

namespace holdfast::ctl {

// Histograms of several slots, merged. The count is that of the buckets, so that it always fits
// them.
struct HistogramSum {
  std::array<uint64_t, shm::Histogram::kBuckets> buckets{};
  uint64_t count = 0;
  uint64_t sum = 0;

  void add(const shm::Histogram& histogram);
  HistogramSum since(const HistogramSum& before) const;
  // Smallest bound such that the share `q` (0..1) of the records is at most it; 0 without records.
  uint64_t quantile(double q) const;
  uint64_t mean() const { return count == 0 ? 0 : sum / count; }
};

struct Snapshot {
  uint64_t taken_ns = 0;  // monotonic
  std::string instance;
  std::string build;
  uint32_t node = 0;
  uint32_t generation = 0;
  uint64_t started_wall_ms = 0;
  uint64_t reloaded_wall_ms = 0;
  uint32_t master_pid = 0;
  bool master_alive = false;
  uint32_t workers = 0;                  // slots that serve
  std::vector<uint64_t> cells;           // one for each of all_stats(); 0 for histograms
  std::vector<HistogramSum> histograms;  // one for each of all_stats(); empty for the others

  bool same_life(const Snapshot& other) const { return started_wall_ms == other.started_wall_ms; }
};

Snapshot take_snapshot(const shm::Segment& segment);
// Increase of cell `index` per second between two snapshots of one life; 0 if no time passed.
double rate(const Snapshot& before, const Snapshot& now, size_t index);

}  // namespace holdfast::ctl
