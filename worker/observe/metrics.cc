#include "worker/observe/metrics.h"

#include <fmt/format.h>
#include <string.h>

#include <array>
#include <iterator>
#include <vector>

#include "base/clock.h"
#include "wire/json/writer.h"

namespace holdfast::api {
namespace {

using shm::Histogram;
using shm::StatInfo;
using shm::StatKind;
using shm::StatsBlock;

// A copy of one or more histograms. The count is that of the buckets, so that it always fits them.
struct Merged {
  std::array<uint64_t, Histogram::kBuckets> buckets{};
  uint64_t count = 0;
  uint64_t sum = 0;

  void add(const Histogram& h) {
    sum += h.sum.get();
    for (unsigned b = 0; b < Histogram::kBuckets; ++b) {
      uint64_t n = h.buckets[b].get();
      buckets[b] += n;
      count += n;
    }
  }

  // Smallest bound such that the share `q` of the records is at most it; 0 without records.
  uint64_t quantile(double q) const {
    uint64_t below = 0;
    for (unsigned b = 0; b < Histogram::kBuckets; ++b) {
      below += buckets[b];
      if (below > 0 && double(below) >= q * double(count)) return Histogram::upper_bound(b);
    }
    return 0;
  }
};

std::string_view state_name(shm::SlotState state) {
  switch (state) {
    case shm::SlotState::free:
      return "free";
    case shm::SlotState::starting:
      return "starting";
    case shm::SlotState::serving:
      return "serving";
    case shm::SlotState::draining:
      return "draining";
    case shm::SlotState::dead:
      return "dead";
  }
  return "unknown";
}

bool has_process(const shm::SlotHead& head) {
  return head.state.load(std::memory_order_acquire) != shm::SlotState::free;
}

uint64_t heartbeat_age_ms(const shm::SlotHead& head) {
  uint64_t beat = head.heartbeat_ms.load(std::memory_order_relaxed);
  uint64_t now = monotonic_ms();
  return now > beat ? now - beat : 0;
}

// ---- JSON

uint64_t total(const shm::Segment& segment, const StatInfo& info) {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    sum += cell_of(segment.stats(slot), info).get();
  return sum;
}

Merged merged(const shm::Segment& segment, const StatInfo& info) {
  Merged all;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    all.add(histogram_of(segment.stats(slot), info));
  return all;
}

void write_worker(json::Writer& json, const shm::Segment& segment, uint32_t slot) {
  const shm::SlotHead& head = segment.slot(slot);
  json.begin_object();
  json.key("slot").number(slot);
  json.key("pid").number(head.pid.load());
  json.key("state").string(state_name(head.state.load()));
  json.key("generation").number(head.generation.load());
  json.key("restarts").number(head.restarts.load());
  json.key("started_ms").number(head.started_wall_ms.load());
  json.key("heartbeat_age_ms").number(heartbeat_age_ms(head));
  json.key("sessions").number(segment.stats(slot).sessions_online.get());
  json.end_object();
}

void write_cells(json::Writer& json, const shm::Segment& segment, std::string_view key,
                 StatKind kind) {
  json.key(key).begin_object();
  for (const StatInfo& info : shm::all_stats())
    if (info.kind == kind) json.key(info.name).number(total(segment, info));
  json.end_object();
}

void write_histograms(json::Writer& json, const shm::Segment& segment) {
  json.key("histograms").begin_object();
  for (const StatInfo& info : shm::all_stats()) {
    if (info.kind != StatKind::histogram) continue;
    Merged h = merged(segment, info);
    json.key(info.name).begin_object();
    json.key("count").number(h.count);
    json.key("sum").number(h.sum);
    json.key("p50").number(h.quantile(0.5));
    json.key("p99").number(h.quantile(0.99));
    json.key("p999").number(h.quantile(0.999));
    json.end_object();
  }
  json.end_object();
}

// ---- Prometheus

// "backend.request_us" -> "holdfast_backend_request"; what is measured in follows as the base unit.
std::string metric_name(const StatInfo& info) {
  std::string_view name = info.name;
  if (info.kind == StatKind::histogram && name.ends_with("_us")) name.remove_suffix(3);
  std::string metric = "holdfast_";
  for (char c : name) metric += c == '.' ? '_' : c;
  if (info.kind == StatKind::counter) metric += "_total";
  if (info.kind == StatKind::histogram) metric += "_seconds";
  return metric;
}

std::string_view type_name(StatKind kind) {
  switch (kind) {
    case StatKind::counter:
      return "counter";
    case StatKind::gauge:
      return "gauge";
    case StatKind::histogram:
      return "histogram";
  }
  return "untyped";
}

void append_head(std::string& out, std::string_view metric, std::string_view help,
                 std::string_view type) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", metric, help, type);
}

// Bounds are powers of two of microseconds (32 us to 16.8 s), where the recorded buckets end too.
constexpr unsigned kFirstBound = 5, kLastBound = 24;

void append_histogram(std::string& out, std::string_view metric, uint32_t slot,
                      const Histogram& recorded) {
  Merged h;
  h.add(recorded);
  auto at = std::back_inserter(out);
  uint64_t below = 0;
  unsigned bucket = 0;
  for (unsigned bound = kFirstBound; bound <= kLastBound; ++bound) {
    uint64_t bound_us = uint64_t{1} << bound;
    for (; bucket < Histogram::bucket_of(bound_us); ++bucket) below += h.buckets[bucket];
    fmt::format_to(at, "{}_bucket{{slot=\"{}\",le=\"{}\"}} {}\n", metric, slot,
                   double(bound_us) / 1e6, below);
  }
  fmt::format_to(at, "{}_bucket{{slot=\"{}\",le=\"+Inf\"}} {}\n", metric, slot, h.count);
  fmt::format_to(at, "{}_sum{{slot=\"{}\"}} {}\n", metric, slot, double(h.sum) / 1e6);
  fmt::format_to(at, "{}_count{{slot=\"{}\"}} {}\n", metric, slot, h.count);
}

void append_series(std::string& out, const shm::Segment& segment, const StatInfo& info,
                   const std::vector<uint32_t>& slots) {
  std::string metric = metric_name(info);
  append_head(out, metric, info.sentence, type_name(info.kind));
  for (uint32_t slot : slots) {
    const StatsBlock& block = segment.stats(slot);
    if (info.kind == StatKind::histogram)
      append_histogram(out, metric, slot, histogram_of(block, info));
    else
      fmt::format_to(std::back_inserter(out), "{}{{slot=\"{}\"}} {}\n", metric, slot,
                     cell_of(block, info).get());
  }
}

// Slots that have, or had, a process.
std::vector<uint32_t> used_slots(const shm::Segment& segment) {
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    if (has_process(segment.slot(slot)) || segment.stats(slot).loop_turns.get() > 0)
      slots.push_back(slot);
  return slots;
}

void append_instance(std::string& out, const shm::Segment& segment,
                     const std::vector<uint32_t>& slots) {
  auto at = std::back_inserter(out);
  append_head(out, "holdfast_info", "The version that runs", "gauge");
  fmt::format_to(at, "holdfast_info{{version=\"{}\"}} 1\n", HOLDFAST_VERSION);
  append_head(out, "holdfast_generation", "Configuration in use; 1 at start, one more each reload",
              "gauge");
  fmt::format_to(at, "holdfast_generation {}\n", segment.header().generation.load());
  append_head(out, "holdfast_worker_up", "1 while the worker serves its slot", "gauge");
  for (uint32_t slot : slots)
    fmt::format_to(at, "holdfast_worker_up{{slot=\"{}\"}} {}\n", slot,
                   segment.slot(slot).state.load() == shm::SlotState::serving ? 1 : 0);
  append_head(out, "holdfast_worker_restarts_total", "Crashes of the slot's process", "counter");
  for (uint32_t slot : slots)
    fmt::format_to(at, "holdfast_worker_restarts_total{{slot=\"{}\"}} {}\n", slot,
                   segment.slot(slot).restarts.load());
}

}  // namespace

std::string stats_json(const shm::Segment& segment) {
  const shm::Header& header = segment.header();
  json::Writer json;
  json.begin_object();
  json.key("instance").string({header.instance, strnlen(header.instance, sizeof header.instance)});
  json.key("version").string(HOLDFAST_VERSION);
  json.key("node").number(header.node_id);
  json.key("generation").number(header.generation.load());
  json.key("started_ms").number(header.started_wall_ms.load());
  json.key("workers").begin_array();
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    if (has_process(segment.slot(slot))) write_worker(json, segment, slot);
  json.end_array();
  write_cells(json, segment, "counters", StatKind::counter);
  write_cells(json, segment, "gauges", StatKind::gauge);
  write_histograms(json, segment);
  json.end_object();
  return json.take();
}

std::string prometheus_text(const shm::Segment& segment) {
  std::vector<uint32_t> slots = used_slots(segment);
  std::string out;
  append_instance(out, segment, slots);
  for (const StatInfo& info : shm::all_stats()) append_series(out, segment, info, slots);
  return out;
}

}  // namespace holdfast::api
