#include "shm/channel_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace holdfast::shm {
namespace {

constexpr uint32_t kBuckets = 64, kWorkers = 4;

class Filter : public testing::Test {
 protected:
  std::vector<uint32_t> workers_of(std::string_view name) const {
    std::vector<uint32_t> found;
    filter_.for_each(name, [&](uint32_t w) { found.push_back(w); });
    for (uint32_t w = 0; w < kWorkers; ++w)
      EXPECT_EQ(filter_.maybe_member(w, name), std::count(found.begin(), found.end(), w) == 1);
    return found;
  }

  // Another name in the bucket of `name`.
  std::string collision(std::string_view name) const {
    for (int i = 0;; ++i) {
      std::string other = "other-" + std::to_string(i);
      if ((filter_.hash(other) ^ filter_.hash(name)) % kBuckets == 0) return other;
    }
  }

  std::unique_ptr<std::atomic<uint16_t>[]> counts_ {
    new std::atomic<uint16_t>[ size_t{kBuckets} * kWorkers ]()
  };
  ChannelFilter filter_{counts_.get(), kBuckets, kWorkers, {4, 2}};
};

using Workers = std::vector<uint32_t>;

TEST_F(Filter, NamesNobodyAtFirst) {
  EXPECT_EQ(workers_of("news"), Workers{});
}

TEST_F(Filter, NamesThoseThatRaised) {
  filter_.raise(0, "news");
  filter_.raise(3, "news");
  EXPECT_EQ(workers_of("news"), (Workers{0, 3}));
}

TEST_F(Filter, CountsChannelsOfABucketTogether) {
  std::string other = collision("news");
  filter_.raise(1, "news");
  filter_.raise(1, other);
  filter_.lower(1, "news");
  EXPECT_EQ(workers_of("news"), Workers{1});  // one hop too many, for the other's sake
  filter_.lower(1, other);
  EXPECT_EQ(workers_of("news"), Workers{});
}

TEST_F(Filter, KeepsBucketsApart) {
  std::string elsewhere = "news";
  while ((filter_.hash(elsewhere) ^ filter_.hash("news")) % kBuckets == 0) elsewhere += "x";
  filter_.raise(2, "news");
  EXPECT_EQ(workers_of(elsewhere), Workers{});
}

TEST_F(Filter, AFullCountStaysUntilTheColumnIsCleared) {  // I2
  for (int i = 0; i < 70'000; ++i) filter_.raise(1, "news");
  for (int i = 0; i < 140'000; ++i) filter_.lower(1, "news");
  EXPECT_EQ(workers_of("news"), Workers{1});
  filter_.clear_column(1);
  EXPECT_EQ(workers_of("news"), Workers{});
}

TEST_F(Filter, LowerOfAnEmptyCountDoesNotWrap) {
  filter_.lower(1, "news");
  EXPECT_EQ(workers_of("news"), Workers{});
}

TEST_F(Filter, ClearingAColumnLeavesTheOthers) {  // I3
  for (int i = 0; i < 1000; ++i)
    for (uint32_t w : {1u, 2u}) filter_.raise(w, "room-" + std::to_string(i));
  filter_.clear_column(1);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(workers_of("room-" + std::to_string(i)), Workers{2});
}

// Who knows the function but not the key finds no names that meet.
TEST_F(Filter, NamesThatMeetUnderOneKeyDoNotUnderAnother) {
  std::vector<std::string> meeting;
  for (int i = 0; meeting.size() < 64; ++i) {
    std::string name = "news-" + std::to_string(i);
    if (filter_.hash(name) % kBuckets == 7) meeting.push_back(name);
  }
  ChannelFilter other{counts_.get(), kBuckets, kWorkers, {4, 3}};
  std::set<uint64_t> buckets;
  for (const std::string& name : meeting) buckets.insert(other.hash(name) % kBuckets);
  EXPECT_GT(buckets.size(), 20u);
}

TEST_F(Filter, WithoutAKeyItIsThatOfVersionsBefore) {
  ChannelFilter old{counts_.get(), kBuckets, kWorkers, {}};
  EXPECT_EQ(old.hash("news"), hash_name("news"));
}

}  // namespace
}  // namespace holdfast::shm
