#include "shm/layout.h"

#include <gtest/gtest.h>

#include "shm/mailbox.h"
#include "shm/receipts.h"
#include "shm/session_directory.h"
#include "shm/stats.h"

namespace holdfast::shm {
namespace {

constexpr Capacities kSmall{.max_workers = 3,
                            .max_sessions = 5,
                            .filter_buckets = 16,
                            .mailbox_bytes = 1024,
                            .receipts = 64};
constexpr Capacities kNormal{.max_workers = 64,
                             .max_sessions = 1'000'000,
                             .filter_buckets = 65'536,
                             .mailbox_bytes = 1 << 22,
                             .receipts = 65'536};

Capacities changed(Capacities c, uint32_t Capacities::*field, uint32_t value) {
  c.*field = value;
  return c;
}

// Each part begins on a page and ends before the next begins.
void expect_room(const Capacities& c) {
  Layout l = Layout::of(c);
  size_t w = c.max_workers;
  for (size_t offset : {l.slot_heads, l.stats, l.filter, l.receipts, l.mailboxes, l.directory,
                        l.total, l.ring_stride})
    EXPECT_EQ(offset % kPage, 0u);
  EXPECT_GE(l.slot_heads, sizeof(Header));
  EXPECT_GE(l.stats, l.slot_heads + w * sizeof(SlotHead));
  EXPECT_GE(l.filter, l.stats + w * sizeof(StatsBlock));
  EXPECT_GE(l.receipts, l.filter + w * c.filter_buckets * sizeof(uint16_t));
  EXPECT_GE(l.mailboxes, l.receipts + c.receipts * sizeof(ReceiptEntry));
  EXPECT_GE(l.ring_stride, sizeof(RingHead) + c.mailbox_bytes);
  EXPECT_GE(l.directory, l.mailboxes + w * w * l.ring_stride);
  EXPECT_GE(l.total, l.directory + w * c.max_sessions * sizeof(DirectoryEntry));
}

TEST(Layout, PartsDoNotOverlap) {
  expect_room(kSmall);
  expect_room(kNormal);
  expect_room({.max_workers = 1, .max_sessions = 1, .filter_buckets = 1, .mailbox_bytes = 1024});
  expect_room({.max_workers = 4096,
               .max_sessions = 1'048'575,
               .filter_buckets = 1 << 20,
               .mailbox_bytes = 1024,
               .receipts = 1 << 24});
}

TEST(Layout, ReceiptsTakeNoRoomWhereThereAreNone) {
  Layout without = Layout::of(changed(kSmall, &Capacities::receipts, 0));
  EXPECT_EQ(without.receipts, without.mailboxes);
  EXPECT_EQ(Layout::of(kSmall).total - without.total, 64 * sizeof(ReceiptEntry));
}

TEST(Layout, MagicReadsAsTextInMemory) {
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(&kMagic), 8), "HLDFAST1");
}

TEST(Layout, TakesWhatIsUseful) {
  EXPECT_TRUE(Layout::possible(kSmall));
  EXPECT_TRUE(Layout::possible(kNormal));
  // The largest mailbox the configuration allows.
  EXPECT_TRUE(Layout::possible(changed(kSmall, &Capacities::mailbox_bytes, 1u << 31)));
  EXPECT_TRUE(Layout::possible(changed(kSmall, &Capacities::receipts, 0)));
  EXPECT_TRUE(Layout::possible(changed(kSmall, &Capacities::receipts, 1u << 31)));
}

TEST(Layout, DirectoryIndexHas32Bits) {
  Capacities c = changed(kSmall, &Capacities::max_workers, 2);
  EXPECT_TRUE(Layout::possible(changed(c, &Capacities::max_sessions, 0x7fff'ffff)));
  EXPECT_FALSE(Layout::possible(changed(c, &Capacities::max_sessions, 0x8000'0000)));
  EXPECT_FALSE(Layout::possible(changed(c, &Capacities::max_sessions, UINT32_MAX)));
}

TEST(Layout, RefusesZeroes) {
  for (auto field : {&Capacities::max_workers, &Capacities::max_sessions,
                     &Capacities::filter_buckets, &Capacities::mailbox_bytes})
    EXPECT_FALSE(Layout::possible(changed(kSmall, field, 0)));
}

TEST(Layout, RefusesWhatIsNoPowerOfTwo) {
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::filter_buckets, 24)));
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::mailbox_bytes, 1500)));
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::receipts, 96)));
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::receipts, 32)));        // too few
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::mailbox_bytes, 512)));  // too small
}

TEST(Layout, RefusesMoreThanAnAddressSpaceHolds) {
  EXPECT_FALSE(Layout::possible(changed(kSmall, &Capacities::max_workers, UINT32_MAX)));
  Capacities wide = changed(kSmall, &Capacities::max_workers, 4096);
  EXPECT_TRUE(Layout::possible(wide));
  EXPECT_FALSE(Layout::possible(changed(wide, &Capacities::mailbox_bytes, 1u << 31)));
  EXPECT_FALSE(Layout::possible(changed(wide, &Capacities::filter_buckets, 1u << 31)));
}

}  // namespace
}  // namespace holdfast::shm
