#include "ctl/snapshot.h"

#include "base/clock.h"
#include "ctl/instance.h"

namespace holdfast::ctl {

void HistogramSum::add(const shm::Histogram& histogram) {
  sum += histogram.sum.get();
  for (unsigned b = 0; b < shm::Histogram::kBuckets; ++b) {
    uint64_t n = histogram.buckets[b].get();
    buckets[b] += n;
    count += n;
  }
}

HistogramSum HistogramSum::since(const HistogramSum& before) const {
  HistogramSum difference;
  difference.sum = sum - before.sum;
  difference.count = count - before.count;
  for (size_t b = 0; b < buckets.size(); ++b)
    difference.buckets[b] = buckets[b] - before.buckets[b];
  return difference;
}

uint64_t HistogramSum::quantile(double q) const {
  uint64_t below = 0;
  for (unsigned b = 0; b < shm::Histogram::kBuckets; ++b) {
    below += buckets[b];
    if (below > 0 && double(below) >= q * double(count)) return shm::Histogram::upper_bound(b);
  }
  return 0;
}

namespace {

void add_slot(Snapshot& snapshot, const shm::StatsBlock& block) {
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i) {
    if (stats[i].kind == shm::StatKind::histogram)
      snapshot.histograms[i].add(shm::histogram_of(block, stats[i]));
    else
      snapshot.cells[i] += shm::cell_of(block, stats[i]).get();
  }
}

void copy_header(Snapshot& snapshot, const shm::Header& header) {
  snapshot.instance = field_text(header.instance, sizeof header.instance);
  snapshot.build = field_text(header.build, sizeof header.build);
  snapshot.node = header.node_id;
  snapshot.generation = header.generation.load(std::memory_order_acquire);
  snapshot.started_wall_ms = header.started_wall_ms.load(std::memory_order_relaxed);
  snapshot.reloaded_wall_ms = header.reloaded_wall_ms.load(std::memory_order_relaxed);
  snapshot.master_pid = header.master_pid.load(std::memory_order_relaxed);
}

}  // namespace

Snapshot take_snapshot(const shm::Segment& segment) {
  Snapshot snapshot;
  copy_header(snapshot, segment.header());
  snapshot.master_alive = segment.master_alive();
  snapshot.cells.resize(shm::all_stats().size());
  snapshot.histograms.resize(shm::all_stats().size());
  snapshot.taken_ns = monotonic_ns();
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot) {
    add_slot(snapshot, segment.stats(slot));
    snapshot.workers += segment.slot(slot).state.load() == shm::SlotState::serving;
  }
  return snapshot;
}

double rate(const Snapshot& before, const Snapshot& now, size_t index) {
  if (now.taken_ns <= before.taken_ns || now.cells[index] <= before.cells[index]) return 0;
  return double(now.cells[index] - before.cells[index]) * 1e9 /
         double(now.taken_ns - before.taken_ns);
}

}  // namespace holdfast::ctl
