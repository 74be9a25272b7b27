// The keys of session tickets: which are good, and that nobody reads half of one.
#include "shm/ticket_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace holdfast::shm {
namespace {

TicketKey key_of(uint8_t n) {
  TicketKey key;
  key.name.fill(n);
  key.cipher.fill(n);
  key.mac.fill(n);
  return key;
}

bool whole(const TicketKey& key) {
  auto same = [&](const auto& bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [&](uint8_t b) { return b == key.name[0]; });
  };
  return key.name[0] != 0 && same(key.name) && same(key.cipher) && same(key.mac);
}

TEST(TicketKeys, TheNewestAndTheOneBeforeAreGood) {
  TicketKeyRing ring{};
  TicketKeys keys(ring);
  EXPECT_FALSE(keys.any());
  EXPECT_FALSE(keys.named(key_of(0).name));
  for (uint8_t n = 1; n <= 10; ++n) {
    keys.put(key_of(n), n * 1000);
    EXPECT_TRUE(keys.any());
    EXPECT_EQ(keys.made_ms(), n * 1000u);
    EXPECT_EQ(keys.newest().mac, key_of(n).mac);
    for (uint8_t old = 0; old <= n + 1; ++old)
      EXPECT_EQ(keys.named(key_of(old).name).has_value(), old != 0 && (old == n || old + 1 == n))
          << int(n) << " " << int(old);
  }
}

TEST(TicketKeys, AnOldOneIsWiped) {
  TicketKeyRing ring{};
  TicketKeys keys(ring);
  for (uint8_t n = 1; n <= 3; ++n) keys.put(key_of(n), 0);
  EXPECT_TRUE(std::all_of(ring.keys[0].begin(), ring.keys[0].end(),
                          [](const auto& word) { return word.load() == 0; }));
}

TEST(TicketKeys, ANewOneIsRandom) {
  TicketKeyRing ring{};
  TicketKeys keys(ring);
  keys.renew(1);
  TicketKey first = keys.newest();
  keys.renew(2);
  EXPECT_NE(keys.newest().name, first.name);
  EXPECT_NE(keys.newest().cipher, first.cipher);
  EXPECT_NE(keys.newest().mac, first.mac);
  EXPECT_NE(first.mac, first.cipher);
  EXPECT_EQ(keys.named(first.name)->mac, first.mac);
}

TEST(TicketKeys, NobodyReadsHalfOfOne) {
  TicketKeyRing ring{};
  TicketKeys keys(ring);
  keys.put(key_of(1), 0);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (unsigned n = 0; n < 300'000; ++n) keys.put(key_of(uint8_t(1 + n % 255)), n);
    done = true;
  });
  unsigned found = 0, broken = 0;
  while (!done) {
    TicketKey key = keys.newest();
    broken += !whole(key);
    if (auto again = keys.named(key.name)) ++found, broken += !whole(*again);
  }
  writer.join();
  EXPECT_EQ(broken, 0u);
  EXPECT_TRUE(keys.named(keys.newest().name));
}

}  // namespace
}  // namespace holdfast::shm
