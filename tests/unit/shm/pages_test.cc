// A segment where memory is at its end: every part answers "no", and nobody touches what is not there. mincore(2) says which
// pages are: a hole that is read would have become one.
#include "shm/pages.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "shm/segment.h"

namespace holdfast::shm {
namespace {

class FullMemory : public testing::Test {
 protected:
  static constexpr uint32_t kSlots = 4;
  static constexpr uint32_t kRing = 256 * 1024;

  static Segment made() {
    auto segment =
        Segment::create({"pages-" + std::to_string(getpid()), "/tmp", 1}, {.max_workers = kSlots,
                                                                           .max_sessions = 100'000,
                                                                           .filter_buckets = 65'536,
                                                                           .mailbox_bytes = kRing,
                                                                           .receipts = 1024});
    if (!segment) throw std::runtime_error(segment.error().text());
    return *std::move(segment);
  }
  // What a master does before a slot's first process.
  void begin(uint16_t slot) {
    ASSERT_TRUE(segment.prepare_slot(slot));
    segment.slot(slot).started_wall_ms = 1;
    segment.slot(slot).pid = 1;
    segment.slot(slot).state = SlotState::serving;
    segment.addresses().begin(slot);
  }
  void SetUp() override {
    begin(0);
    begin(1);
  }
  void full() { segment.pages().pretend_left(0); }
  uint64_t blocks() const {
    struct stat about {};
    fstat(segment.fd(), &about);
    return uint64_t(about.st_blocks);
  }

  Segment segment = made();
};

TEST_F(FullMemory, OfAFreshSegmentLittleIsThere) {
  EXPECT_LT(blocks() * 512, 1u << 20);
}

TEST_F(FullMemory, APushThatNeedsANewPageIsRefused) {
  MailboxRing ring = segment.ring(0, 1);
  full();
  std::string body(100, 'x');
  uint64_t before = blocks();
  // The first page is there from the beginning.
  ASSERT_EQ(ring.try_push(1, body), MailboxRing::Pushed::yes);
  EXPECT_EQ(ring.try_push(1, std::string(30'000, 'y')), MailboxRing::Pushed::no_page);
  unsigned small = 1;
  while (ring.push(1, body)) ++small;
  EXPECT_LT(small, 4096u / 100);
  EXPECT_EQ(ring.try_push(1, body), MailboxRing::Pushed::full) << "once read, there is room again";
  EXPECT_EQ(blocks(), before);
}

// What is there goes round, in order, as long as the consumer keeps up.
TEST_F(FullMemory, ARingOfOnePageGoesOn) {
  MailboxRing out = segment.ring(0, 1), in = segment.ring(0, 1);
  full();
  bool broken = false;
  for (int i = 0; i < 1'000; ++i) {
    std::string body = std::to_string(i) + std::string(700, 'x');
    ASSERT_TRUE(out.push(1, body)) << i;
    auto record = in.front(&broken);
    ASSERT_TRUE(record) << i;
    ASSERT_EQ(record->body, body);
    in.pop();
  }
}

// Light traffic takes a fourth of the ring and no more, however much passes.
TEST_F(FullMemory, AnEmptyRingStartsAgainFromItsFirstByte) {
  MailboxRing ring = segment.ring(0, 1);
  uint64_t before = blocks();
  bool broken = false;
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(ring.push(1, std::string(3'000, 'x')));
    ASSERT_TRUE(ring.front(&broken));
    ring.pop();
  }
  EXPECT_LE((blocks() - before) * 512, kRing / 4 + 2 * Pages::kAhead);
}

// A process that is new does not know what is there; it may use it all the same.
TEST_F(FullMemory, ANewProducerGoesOnWithThePagesOfTheOldOne) {
  ASSERT_TRUE(segment.ring(0, 1).push(1, std::string(40'000, 'x')));
  Pages fresh(segment.fd(), reinterpret_cast<char*>(&segment.header()),
              segment.header().total_bytes);
  EXPECT_FALSE(fresh.there(
      reinterpret_cast<char*>(&segment.header()) + segment.header().total_bytes - kPage, 1));
  EXPECT_TRUE(fresh.ensure(&segment.slot(0), 1));
}

TEST_F(FullMemory, ASessionIsRefusedAndTheHighWaterStays) {
  Slab slab(segment.directory(), 0, 1, segment.stats(0).slab_high_water);
  ASSERT_TRUE(slab.claim({}));
  full();
  unsigned more = 0;
  while (slab.claim({})) ASSERT_LT(++more, 100'000u);
  EXPECT_TRUE(slab.no_page());
  EXPECT_EQ(segment.stats(0).slab_high_water.load(), more + 1);
  EXPECT_EQ(segment.directory().used(0), more + 1);
  segment.pages().pretend_left(100);
  EXPECT_TRUE(slab.claim({})) << "memory came back";
  EXPECT_FALSE(slab.no_page());
}

TEST_F(FullMemory, AFullSlabIsNoWantOfMemory) {
  Slab slab(segment.directory(), 0, 1, segment.stats(0).slab_high_water);
  for (unsigned i = 0; i < 100'000; ++i) ASSERT_TRUE(slab.claim({}));
  EXPECT_FALSE(slab.claim({}));
  EXPECT_FALSE(slab.no_page());
}

TEST_F(FullMemory, AKeyIsRefused) {
  ReceiptTable receipts = segment.receipts();
  auto first = receipts.claim({1, 1}, 7, 0, 1000);
  EXPECT_EQ(first.verdict, ReceiptTable::Verdict::fresh);
  full();
  EXPECT_EQ(receipts.claim({1, 2}, 7, 0, 1000).verdict, ReceiptTable::Verdict::no_page);
  EXPECT_TRUE(receipts.complete(first, 200, "x"));
  EXPECT_EQ(receipts.claim({1, 1}, 7, 0, 1000).verdict, ReceiptTable::Verdict::repeated);
}

TEST_F(FullMemory, AnAddressThatCannotBeCountedSaysSo) {
  full();
  in6_addr address{};
  address.s6_addr[0] = 0x20;
  EXPECT_TRUE(segment.addresses().enter(0, address, 1000).no_page);
  EXPECT_EQ(segment.slot(0).address_epoch.load(), 1u);
}

TEST_F(FullMemory, OtherSlotsAddressesAreReadWithoutTakingMemory) {
  in6_addr address{};
  address.s6_addr[0] = 0x20;
  uint64_t before = blocks();
  EXPECT_EQ(segment.addresses().enter(0, address, 1000).connections, 1u);
  uint64_t one = blocks() - before;
  EXPECT_LE(one, 2 * kPage / 512) << "its own page, not the others'";
  EXPECT_EQ(segment.addresses().enter(1, address, 1000).connections, 2u);
}

// Nobody who joins is refused: the worker is told of all channels instead.
TEST_F(FullMemory, AWorkerWhoseColumnCannotBeRaisedHearsAll) {
  ChannelFilter filter = segment.filter();
  auto told = [&](std::string_view channel) {
    std::string slots;
    filter.for_each(channel, [&](uint32_t slot) { slots += std::to_string(slot); });
    return slots;
  };
  ASSERT_TRUE(filter.raise(1, "before"));
  full();
  EXPECT_EQ(told("nobody"), "");
  EXPECT_FALSE(filter.raise(0, "news"));
  EXPECT_EQ(told("news"), "0");
  EXPECT_EQ(told("before"), "01");
  EXPECT_TRUE(filter.maybe_member(0, "anything"));
  segment.pages().pretend_left(100);
  EXPECT_TRUE(filter.raise(1, "news"));
  EXPECT_EQ(told("news"), "01") << "also when the page has come";
  filter.lower(0, "news");
  EXPECT_EQ(told("news"), "01");
  filter.clear_column(0);
  EXPECT_EQ(told("news"), "1");
  EXPECT_EQ(told("before"), "1");
}

TEST_F(FullMemory, ReadingAndClearingTheFilterTakesNoMemory) {
  uint64_t before = blocks();
  ChannelFilter filter = segment.filter();
  for (int i = 0; i < 1'000; ++i)
    filter.for_each("channel " + std::to_string(i), [](uint32_t) { FAIL(); });
  filter.clear_column(0);
  EXPECT_EQ(blocks(), before);
}

TEST_F(FullMemory, AnotherSlotIsNotPrepared) {
  full();
  EXPECT_FALSE(segment.prepare_slot(2));
  EXPECT_TRUE(segment.prepare_slot(1)) << "one that has begun has all it needs";
}

}  // namespace
}  // namespace holdfast::shm
