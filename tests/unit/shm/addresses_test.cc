// Connections counted by address over slots of one segment; the clock is the test's.
#include "shm/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace holdfast::shm {
namespace {

in6_addr address(const std::string& text) {
  in6_addr parsed{};
  EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &parsed), 1) << text;
  return parsed;
}
in6_addr v4(uint32_t n) {
  return address(fmt::format("::ffff:{}.{}.{}.{}", n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255));
}

class Addresses : public ::testing::Test {
 protected:
  static constexpr uint32_t kSlots = 3, kEach = 64;
  Addresses() {
    table.begin(0);
    table.begin(1);
  }
  uint32_t enter(uint16_t slot, const in6_addr& who, uint64_t now_ms = 5000) {
    return table.enter(slot, who, now_ms).connections;
  }

  std::vector<AddressEntry> entries = std::vector<AddressEntry>(kSlots * kEach);
  std::vector<SlotHead> heads = std::vector<SlotHead>(kSlots);
  AddressTable table{entries.data(), heads.data(), kSlots, kEach, 42, {1, 2}};
};

TEST_F(Addresses, AreCountedOverAllSlots) {
  EXPECT_EQ(enter(0, v4(1)), 1u);
  EXPECT_EQ(enter(1, v4(1)), 2u);
  AddressTable::Seen third = table.enter(0, v4(1), 5000);
  EXPECT_EQ(third.connections, 3u);
  EXPECT_EQ(enter(1, v4(2)), 1u);
  table.leave(0, third.place);
  EXPECT_EQ(enter(1, v4(1)), 3u);
}

TEST_F(Addresses, OfIpv6TheFirst64BitsAreOne) {
  EXPECT_EQ(enter(0, address("2001:db8:0:1::1")), 1u);
  EXPECT_EQ(enter(0, address("2001:db8:0:1:ffff:ffff:ffff:ffff")), 2u);
  EXPECT_EQ(enter(0, address("2001:db8:0:2::1")), 1u);
  EXPECT_EQ(enter(0, address("::ffff:32.1.13.184")), 1u);  // the same bits at another place
}

TEST_F(Addresses, TheRateIsThatOfASlidingSecond) {
  auto rate = [&](uint16_t slot, uint64_t now_ms) { return table.enter(slot, v4(1), now_ms).rate; };
  EXPECT_EQ(rate(0, 5900), 1u);
  for (int i = 0; i < 8; ++i) rate(uint16_t(i % 2), 5990);
  EXPECT_EQ(rate(1, 5999), 10u);
  EXPECT_EQ(rate(0, 6000), 11u);  // all of the ten still count
  EXPECT_EQ(rate(0, 6500), 7u);   // half of them, and two
  EXPECT_EQ(rate(1, 6999), 3u);
  EXPECT_EQ(rate(1, 8000), 1u);
}

TEST_F(Addresses, WhoIsRefusedWasNeverThere) {
  for (int i = 0; i < 5; ++i) {
    AddressTable::Seen seen = table.enter(0, v4(1), 5000);
    EXPECT_EQ(seen.connections, 1u);
    EXPECT_EQ(seen.rate, 1u);
    table.refuse(0, seen.place, 5000);
  }
  EXPECT_EQ(table.enter(1, v4(1), 5000).rate, 1u);
}

TEST_F(Addresses, ANewEpochHasNoConnections) {
  for (int i = 0; i < 4; ++i) enter(0, v4(1));
  enter(1, v4(1));
  table.begin(0);
  EXPECT_EQ(enter(1, v4(1)), 2u);
  EXPECT_EQ(enter(0, v4(1)), 3u);
  heads[0].address_epoch = UINT32_MAX;
  table.begin(0);
  EXPECT_EQ(heads[0].address_epoch, 1u);  // never the "nobody" of a slot that never began
}

// More addresses than a table has room for: those that come too late are not counted, no other is disturbed, and when
// they are gone there is room again.
TEST_F(Addresses, TooManyAreNotCounted) {
  std::vector<AddressTable::Seen> seen;
  for (uint32_t n = 0; n < 10 * kEach; ++n) seen.push_back(table.enter(0, v4(n + 1), 5000));
  size_t counted = 0;
  for (uint32_t n = 0; n < 10 * kEach; ++n) {
    if (seen[n].place == kNoPlace) {
      EXPECT_EQ(seen[n].connections, 0u);
      continue;
    }
    ++counted;
    AddressTable::Seen again = table.enter(0, v4(n + 1), 5000);
    EXPECT_EQ(again.connections, 2u);
    EXPECT_EQ(again.place, seen[n].place);
    table.leave(0, again.place);
  }
  EXPECT_EQ(counted, kEach);
  for (const AddressTable::Seen& one : seen) table.leave(0, one.place);
  EXPECT_EQ(table.enter(0, v4(123456), 5000).place, kNoPlace);  // their rate is still of use
  EXPECT_NE(table.enter(0, v4(123456), 7000).place, kNoPlace);
}

TEST_F(Addresses, NothingOfASlotThatNeverBeganIsRead) {
  // The third's would be behind the end, which a sanitizer sees.
  std::vector<AddressEntry> fewer(2 * kEach);
  table = {fewer.data(), heads.data(), kSlots, kEach, 42, {1, 2}};
  EXPECT_EQ(enter(0, v4(1)), 1u);
}

// I2: whatever two processes do at once, never more than the limit are admitted together.
TEST_F(Addresses, ALimitIsNeverPassedByTwoAtOnce) {
  constexpr uint32_t kLimit = 3;
  std::atomic<int> inside{0}, most{0};
  auto come_and_go = [&](uint16_t slot) {
    for (int i = 0; i < 20'000; ++i) {
      AddressTable::Seen seen = table.enter(slot, v4(7), 5000);
      if (seen.connections > kLimit) {
        table.refuse(slot, seen.place, 5000);
        continue;
      }
      int now = ++inside, before = most;
      while (now > before && !most.compare_exchange_weak(before, now)) {
      }
      --inside;
      table.leave(slot, seen.place);
    }
  };
  // Two stand there all the time, so that the two threads fight for one place.
  enter(0, v4(7));
  enter(1, v4(7));
  std::thread one(come_and_go, 0), two(come_and_go, 1);
  one.join();
  two.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(enter(0, v4(7)), 3u);
}

}  // namespace
}  // namespace holdfast::shm
