#include "shm/stats.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace holdfast::shm {
namespace {

// As in a fresh segment.
std::unique_ptr<StatsBlock> zeroed_block() {
  auto block = std::make_unique<StatsBlock>();
  std::memset(static_cast<void*>(block.get()), 0, sizeof(StatsBlock));
  return block;
}

const StatInfo& info_of(std::string_view name) {
  for (const StatInfo& info : all_stats())
    if (info.name == name) return info;
  throw std::runtime_error("no such stat");
}

TEST(Stats, TableHasEveryLineOfTheListInItsOrder) {
  const char* kNames[] = {
#define HF_COUNTER(ident, name, ...) name,
#define HF_GAUGE(ident, name, ...) name,
#define HF_HISTOGRAM(ident, name, ...) name,
#include "shm/counters.def"
#undef HF_COUNTER
#undef HF_GAUGE
#undef HF_HISTOGRAM
  };
  ASSERT_EQ(all_stats().size(), std::size(kNames));
  for (size_t i = 0; i < std::size(kNames); ++i) EXPECT_EQ(all_stats()[i].name, kNames[i]);
}

// Places in the segment, which an older binary may have made: what was there stays where it was.
TEST(Stats, PlacesAreThoseOfTheLayout) {
  constexpr size_t kFirst = 86;
  constexpr uint64_t kPlaces = 3785365420657732518u;
  static_assert(kLayoutVersion == 4, "a new layout: set both to what the test prints");
  ASSERT_GE(all_stats().size(), kFirst);
  uint64_t places = 14695981039346656037u;  // FNV-1a
  for (const StatInfo& info : all_stats().first(kFirst))
    for (char c : std::string(info.name) + " " + std::to_string(info.offset))
      places = (places ^ uint8_t(c)) * 1099511628211u;
  EXPECT_EQ(places, kPlaces) << "of " << all_stats().size()
                             << "; new counters stand behind all others (counters.def)";
}

TEST(Stats, NamesAreUniqueAndHaveAGroup) {
  std::set<std::string_view> names;
  for (const StatInfo& info : all_stats()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_NE(info.name.find('.'), std::string_view::npos) << info.name;
  }
}

// The exposition and the tool make seconds of microseconds, and of histograms only.
TEST(Stats, HistogramsAloneAreMeasuredInTime) {
  for (const StatInfo& info : all_stats())
    EXPECT_EQ(info.unit == StatUnit::microseconds, info.kind == StatKind::histogram) << info.name;
}

TEST(Stats, TableFindsTheMemberOfTheBlock) {
  auto block = zeroed_block();
  block->sessions_opened.add(3);
  block->loop_turns.add();
  block->backend_request_us.record(5);
  EXPECT_EQ(cell_of(*block, info_of("sessions.opened")).get(), 3u);
  EXPECT_EQ(cell_of(*block, info_of("loop.turns")).get(), 1u);
  EXPECT_EQ(&histogram_of(*block, info_of("backend.request_us")), &block->backend_request_us);
  EXPECT_EQ(cell_of(*block, info_of("sessions.closed")).get(), 0u);
}

TEST(Stats, ClearingGaugesLeavesCountersAndHistograms) {
  auto block = zeroed_block();
  for (const StatInfo& info : all_stats()) const_cast<Cell&>(cell_of(*block, info)).set(7);
  block->slab_high_water = 9;
  clear_gauges(*block);
  for (const StatInfo& info : all_stats())
    EXPECT_EQ(cell_of(*block, info).get(), info.kind == StatKind::gauge ? 0u : 7u) << info.name;
  EXPECT_EQ(block->slab_high_water, 9u);
}

TEST(Histogram, BucketsAreMonotoneAndHoldTheirValues) {
  unsigned before = 0;
  auto look_at = [&](uint64_t us) {
    unsigned bucket = Histogram::bucket_of(us);
    ASSERT_LT(bucket, Histogram::kBuckets);
    ASSERT_GE(bucket, before) << us;
    ASSERT_LE(bucket, before + 1) << "a bucket is left out at " << us;
    ASSERT_GE(Histogram::upper_bound(bucket), us);
    if (bucket > 0) {
      ASSERT_LT(Histogram::upper_bound(bucket - 1), us);
    }
    before = bucket;
  };
  for (uint64_t us = 0; us < 1u << 17; ++us) look_at(us);
  for (unsigned power = 17; power < 32; ++power)
    for (uint64_t part = 0; part < 64; ++part) look_at((64 + part) << (power - 6));
  EXPECT_EQ(before, Histogram::kBuckets - 1);
}

TEST(Histogram, BoundsAreAtMost12Point5PercentOff) {
  for (unsigned b = 1; b < Histogram::kBuckets; ++b) {
    uint64_t smallest = Histogram::upper_bound(b - 1) + 1;
    EXPECT_LE(8 * (Histogram::upper_bound(b) - smallest), smallest);
    EXPECT_EQ(Histogram::bucket_of(smallest), b);
    EXPECT_EQ(Histogram::bucket_of(Histogram::upper_bound(b)), b);
  }
}

TEST(Histogram, LastBucketTakesAllThatIsLonger) {
  EXPECT_EQ(Histogram::upper_bound(Histogram::kBuckets - 1), UINT32_MAX);
  for (uint64_t us : {uint64_t{1} << 32, uint64_t{1} << 40, UINT64_MAX})
    EXPECT_EQ(Histogram::bucket_of(us), Histogram::kBuckets - 1);
}

TEST(Histogram, RecordsCountSumAndBucket) {
  auto block = zeroed_block();
  Histogram& h = block->backend_request_us;
  h.record(3);
  h.record(1000);
  EXPECT_EQ(h.count.get(), 2u);
  EXPECT_EQ(h.sum.get(), 1003u);
  EXPECT_EQ(h.buckets[3].get(), 1u);
  EXPECT_EQ(h.buckets[Histogram::bucket_of(1000)].get(), 1u);
}

TEST(Percentile, IsZeroWithoutRecords) {
  EXPECT_EQ(percentile({}, 0.5), 0u);
  EXPECT_EQ(percentile(std::vector<uint64_t>(Histogram::kBuckets), 0.99), 0u);
}

// 100 records in buckets 0..7, which are exact: 7 of value 1, 43 of 2, 49 of 5, one of 7.
TEST(Percentile, IsTheSmallestBoundThatCoversTheShare) {
  std::vector<uint64_t> buckets(Histogram::kBuckets);
  buckets[1] = 7;
  buckets[2] = 43;
  buckets[5] = 49;
  buckets[7] = 1;
  const std::pair<double, uint64_t> kRows[] = {{-1, 1},  {0, 1},     {0.07, 1}, {0.071, 2},
                                               {0.5, 2}, {0.501, 5}, {0.99, 5}, {0.991, 7},
                                               {1, 7},   {2, 7}};
  for (auto [q, bound] : kRows) EXPECT_EQ(percentile(buckets, q), bound) << q;
}

TEST(Percentile, GrowsWithTheShare) {
  std::mt19937 random(3);
  std::vector<uint64_t> buckets(Histogram::kBuckets);
  for (int i = 0; i < 1000; ++i) ++buckets[Histogram::bucket_of(random() % 1'000'000)];
  uint64_t before = 0;
  for (double q = 0; q <= 1; q += 0.001) {
    EXPECT_GE(percentile(buckets, q), before);
    before = percentile(buckets, q);
  }
}

}  // namespace
}  // namespace holdfast::shm
