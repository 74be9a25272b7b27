#include "worker/net/flush_queue.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace holdfast {
namespace {

class Item final : public Flushable {
 public:
  explicit Item(std::function<void()> then = {}) : then_(std::move(then)) {}
  using Flushable::unlink;
  int flushed = 0;

 private:
  void flush() override {
    ++flushed;
    if (then_) then_();
  }
  std::function<void()> then_;
};

std::vector<std::unique_ptr<Item>> items(size_t n) {
  std::vector<std::unique_ptr<Item>> made;
  for (size_t i = 0; i < n; ++i) made.push_back(std::make_unique<Item>());
  return made;
}

size_t flushed(const std::vector<std::unique_ptr<Item>>& all) {
  size_t n = 0;
  for (const auto& item : all) n += size_t(item->flushed);
  return n;
}

TEST(FlushQueue, UrgentOnesAllGoInOneTurnBulkOnesInSlices) {
  FlushQueue queue;
  auto urgent = items(1000);
  auto bulk = items(2 * FlushQueue::kBulkSlice + 1);
  for (auto& item : bulk) queue.add(*item, Urgency::bulk);
  for (auto& item : urgent) queue.add(*item, Urgency::urgent);
  EXPECT_TRUE(queue.run());
  EXPECT_EQ(flushed(urgent), 1000u);
  EXPECT_EQ(flushed(bulk), FlushQueue::kBulkSlice);
  EXPECT_TRUE(queue.run());
  EXPECT_FALSE(queue.run());
  EXPECT_EQ(flushed(bulk), bulk.size());
}

TEST(FlushQueue, AddedTwiceIsFlushedOnce) {
  FlushQueue queue;
  Item urgent, bulk;
  for (int i = 0; i < 3; ++i) {
    queue.add(urgent, Urgency::urgent);
    queue.add(urgent, Urgency::bulk);
    queue.add(bulk, Urgency::bulk);
  }
  EXPECT_FALSE(queue.run());
  EXPECT_EQ(urgent.flushed, 1);
  EXPECT_EQ(bulk.flushed, 1);
}

TEST(FlushQueue, BulkOneThatGetsSomethingUrgentNeedNotWait) {
  FlushQueue queue;
  auto bulk = items(FlushQueue::kBulkSlice + 5);
  for (auto& item : bulk) queue.add(*item, Urgency::bulk);
  queue.add(*bulk.back(), Urgency::urgent);
  EXPECT_TRUE(queue.run());
  EXPECT_EQ(bulk.back()->flushed, 1);
  EXPECT_FALSE(queue.run());
  for (auto& item : bulk) EXPECT_EQ(item->flushed, 1);
}

TEST(FlushQueue, RemovedAndDestroyedOnesAreNotFlushed) {
  FlushQueue queue;
  Item removed;
  auto destroyed = std::make_unique<Item>([] { FAIL(); });
  queue.add(removed, Urgency::urgent);
  queue.add(*destroyed, Urgency::bulk);
  removed.unlink();
  destroyed.reset();
  EXPECT_FALSE(queue.run());
  EXPECT_EQ(removed.flushed, 0);
}

TEST(FlushQueue, FlushMayRemoveOthersThatWaitInTheSameTurn) {
  FlushQueue queue;
  auto others = items(6);
  Item first([&] {
    for (size_t i = 0; i < 6; i += 2) others[i].reset();
  });
  queue.add(first, Urgency::urgent);
  for (size_t i = 0; i < 6; ++i) queue.add(*others[i], i < 3 ? Urgency::urgent : Urgency::bulk);
  EXPECT_FALSE(queue.run());
  for (size_t i = 1; i < 6; i += 2) EXPECT_EQ(others[i]->flushed, 1);
}

// One turn is bounded: whoever has more to send after its share waits for the next one.
TEST(FlushQueue, WhatFlushAddsBelongsToTheNextTurn) {
  for (Urgency urgency : {Urgency::urgent, Urgency::bulk}) {
    FlushQueue queue;
    Item* self = nullptr;
    Item greedy([&] {
      if (self->flushed < 3) queue.add(*self, urgency);
    });
    self = &greedy;
    queue.add(greedy, urgency);
    EXPECT_TRUE(queue.run());
    EXPECT_EQ(greedy.flushed, 1);
    EXPECT_TRUE(queue.run());
    EXPECT_EQ(greedy.flushed, 2);
    EXPECT_FALSE(queue.run());
    EXPECT_EQ(greedy.flushed, 3);
  }
}

TEST(FlushQueue, WhoWaitedLongerGoesBeforeWhoWasAddedDuringTheTurn) {
  FlushQueue queue;
  std::string order;
  Item late([&] { order += "late "; });
  Item waited([&] { order += "waited "; });
  auto bulk = items(FlushQueue::kBulkSlice - 1);
  Item adds([&] { queue.add(late, Urgency::bulk); });
  queue.add(adds, Urgency::bulk);
  for (auto& item : bulk) queue.add(*item, Urgency::bulk);
  queue.add(waited, Urgency::bulk);  // one more than the slice
  EXPECT_TRUE(queue.run());
  EXPECT_EQ(order, "");
  EXPECT_FALSE(queue.run());
  EXPECT_EQ(order, "waited late ");
}

TEST(FlushQueue, ItemsMayOutliveIt) {
  Item item;
  {
    FlushQueue queue;
    queue.add(item, Urgency::bulk);
  }
  item.unlink();
  EXPECT_EQ(item.flushed, 0);
}

}  // namespace
}  // namespace holdfast
