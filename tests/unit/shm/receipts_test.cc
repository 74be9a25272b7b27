// The table within one process: every worker is played in turn, and a death is a pid taken out of
// its slot's head. What happens between the instructions of claim() is in tests/multiproc/shm/.
#include "shm/receipts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace holdfast::shm {
namespace {

using Verdict = ReceiptTable::Verdict;
using Claim = ReceiptTable::Claim;

constexpr uint32_t kCount = 4 * kWays, kWorkers = 3;
constexpr uint64_t kNow = 1'000'000;
constexpr uint64_t kLater = kNow + kReceiptLifeMs;

// The nth key of a bucket.
ReceiptKey key_in(uint64_t bucket, uint64_t n = 1) {
  return {n * 0x9e3779b97f4a7c15u, n * kCount / kWays + bucket};
}

class Receipts : public testing::Test {
 protected:
  Receipts() {
    for (uint32_t s = 0; s < kWorkers; ++s) slots[s].pid = 100 + s;
  }
  ReceiptTable table() { return {entries.get(), kCount, slots, kWorkers}; }
  Claim claim(const ReceiptKey& k, uint16_t slot = 0, uint64_t now = kNow) {
    return table().claim(k, kAsked, slot, now);
  }
  Verdict verdict(const ReceiptKey& k, uint16_t slot = 0, uint64_t now = kNow) {
    return claim(k, slot, now).verdict;
  }
  void answer(const ReceiptKey& k, const std::string& text, uint16_t slot = 0) {
    ASSERT_TRUE(table().complete(claim(k, slot), 200, text));
  }
  void die(uint16_t slot) { slots[slot].pid = 0; }
  // What a claim that stopped half-way has left in the first entry of its bucket.
  ReceiptEntry& half_way(const ReceiptKey& k, ReceiptState state, uint16_t slot) {
    Claim half = claim(k, slot);
    EXPECT_EQ(half.verdict, Verdict::fresh);
    ReceiptEntry& entry = entries[half.index];
    ReceiptClaim word = ReceiptClaim::unpack(entry.claim);
    word.state = state;
    entry.claim = word.packed();
    return entry;
  }

  static constexpr uint64_t kAsked = 0xabcdef;
  const ReceiptKey key = key_in(2);
  std::unique_ptr<ReceiptEntry[]> entries{new ReceiptEntry[kCount]()};
  SlotHead slots[kWorkers]{};
};

// ---- one key, one worker after the other

TEST_F(Receipts, AKeyIsFreshOnceAndThenUnderWay) {
  EXPECT_EQ(verdict(key, 1), Verdict::fresh);
  EXPECT_EQ(verdict(key, 1), Verdict::busy);
  EXPECT_EQ(verdict(key, 2), Verdict::busy);
}

TEST_F(Receipts, RepeatsGetTheFirstAnswerFromAnyWorker) {
  for (size_t bytes = 0; bytes <= kMaxReceiptBytes; ++bytes) {
    ReceiptKey k = key_in(bytes % 4, 1 + bytes);
    std::string text(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i) text[i] = char(i * 7 + bytes);
    uint64_t now = kNow + bytes * kReceiptLifeMs;
    Claim first = claim(k, 0, now);
    ASSERT_TRUE(table().complete(first, uint16_t(200 + bytes), text));
    for (uint16_t slot = 0; slot < kWorkers; ++slot) {
      Claim again = claim(k, slot, now + 1);
      ASSERT_EQ(again.verdict, Verdict::repeated);
      EXPECT_EQ(again.status, 200 + bytes);
      EXPECT_EQ(again.answer, text);
    }
  }
}

TEST_F(Receipts, KeysThatDifferInOneBitAreDifferent) {
  answer(key, "first");
  for (unsigned bit = 0; bit < 64; ++bit) {
    ReceiptKey hi{key.hi ^ uint64_t{1} << bit, key.lo}, lo{key.hi, key.lo ^ uint64_t{1} << bit};
    for (const ReceiptKey& other : {hi, lo}) {
      Claim got = claim(other);
      ASSERT_EQ(got.verdict, Verdict::fresh) << bit;
      ASSERT_TRUE(table().abandon(got));
    }
  }
}

TEST_F(Receipts, AKeyUsedForAnotherRequestIsAMismatch) {
  Claim first = claim(key);
  EXPECT_EQ(table().claim(key, kAsked + 1, 1, kNow).verdict, Verdict::mismatch);
  table().complete(first, 200, "{}");
  EXPECT_EQ(table().claim(key, kAsked + 1, 1, kNow).verdict, Verdict::mismatch);
  EXPECT_EQ(verdict(key), Verdict::repeated);
}

TEST_F(Receipts, AnAbandonedKeyIsFreshAtOnce) {
  ASSERT_TRUE(table().abandon(claim(key, 1)));
  EXPECT_EQ(verdict(key, 2), Verdict::fresh);
}

TEST_F(Receipts, ALateCompleteOrAbandonChangesNothing) {
  Claim first = claim(key, 1);
  ASSERT_TRUE(table().abandon(first));
  Claim second = claim(key, 1);  // the same worker, entry and instant
  EXPECT_FALSE(table().complete(first, 500, "late"));
  EXPECT_FALSE(table().abandon(first));
  EXPECT_EQ(verdict(key), Verdict::busy);
  ASSERT_TRUE(table().complete(second, 201, "right"));
  EXPECT_FALSE(table().complete(second, 500, "twice"));
  EXPECT_FALSE(table().abandon(second));
  EXPECT_EQ(claim(key).answer, "right");
}

// ---- time

TEST_F(Receipts, AnAnswerLivesFiveMinutesFromItsClaim) {
  answer(key, "{}");
  EXPECT_EQ(verdict(key, 1, kLater - 1), Verdict::repeated);
  EXPECT_EQ(verdict(key, 1, kLater), Verdict::fresh);
}

TEST_F(Receipts, ARequestUnderWayDoesNotExpire) {  // I2
  Claim first = claim(key, 1);
  EXPECT_EQ(verdict(key, 2, kLater), Verdict::busy);
  EXPECT_EQ(verdict(key, 1, 100 * kLater), Verdict::busy);
  EXPECT_TRUE(table().complete(first, 200, "slow"));
}

TEST_F(Receipts, AClaimOfAMomentLaterIsNotTakenForAnOldOne) {
  answer(key, "{}");
  EXPECT_EQ(verdict(key, 1, kNow - 1), Verdict::repeated);  // the clock was read before
  EXPECT_EQ(verdict(key, 1, 0), Verdict::repeated);
}

// ---- deaths

TEST_F(Receipts, WhatADeadWorkerHadUnderWayIsUnknownUntilItExpires) {  // I5
  claim(key, 1);
  EXPECT_EQ(verdict(key, 2), Verdict::busy);  // died, not reaped yet: as if it lived
  die(1);
  EXPECT_EQ(verdict(key, 2), Verdict::unknown);
  slots[1].pid = 4711;  // its successor
  EXPECT_EQ(verdict(key, 1), Verdict::unknown);
  EXPECT_EQ(table().claim(key, kAsked + 1, 1, kNow).verdict, Verdict::mismatch);
  EXPECT_EQ(verdict(key, 2, kLater - 1), Verdict::unknown);
  EXPECT_EQ(verdict(key, 2, kLater), Verdict::fresh);
}

TEST_F(Receipts, AnAnswerOutlivesItsWorker) {
  answer(key, "kept", 1);
  die(1);
  EXPECT_EQ(claim(key, 2).answer, "kept");
}

// The worker was taken for dead and was not (no master does that): still nothing is torn.
TEST_F(Receipts, ACompleteAfterItsEntryWentToAnotherIsRefused) {
  Claim first = claim(key, 1);
  die(1);
  Claim second = claim(key, 2, kLater);
  ASSERT_EQ(second.verdict, Verdict::fresh);
  EXPECT_EQ(second.index, first.index);
  EXPECT_FALSE(table().complete(first, 200, "of the dead"));
  ASSERT_TRUE(table().complete(second, 200, "of the living"));
  EXPECT_EQ(claim(key, 0, kLater).answer, "of the living");
}

TEST_F(Receipts, WhoDiesInsideClaimHasLeftNothing) {  // I4
  for (ReceiptState state : {ReceiptState::writing, ReceiptState::claiming}) {
    slots[1].pid = 101;
    ReceiptEntry& entry = half_way(key, state, 1);
    die(1);
    Claim other = claim(key, 2);
    EXPECT_EQ(other.verdict, Verdict::fresh);
    EXPECT_EQ(&entries[other.index], &entry);
    ASSERT_TRUE(table().abandon(other));
  }
}

TEST_F(Receipts, WhoStandsStillInsideClaimKeepsItsEntry) {  // I2
  half_way(key, ReceiptState::claiming, 1);
  EXPECT_EQ(verdict(key, 2, 9 * kLater), Verdict::busy);
  ReceiptKey other = key_in(3);
  uint64_t before = half_way(other, ReceiptState::writing, 1).claim;
  // It may have the same key, or any other: it has not been written yet.
  Claim mine = claim(other, 2, 9 * kLater);
  ASSERT_EQ(mine.verdict, Verdict::fresh);
  ASSERT_EQ(mine.index % kWays, 1u);
  EXPECT_EQ(entries[mine.index - 1].claim, before);
}

// ---- buckets

// One that looked before the key was answered further on, took an earlier place, and has not looked again yet.
TEST_F(Receipts, ARivalThatWillGiveWayHidesNoAnswer) {
  answer(key, "the first");
  ReceiptEntry* bucket = &entries[2 * kWays];
  ASSERT_EQ(bucket[0].key_hi, key.hi);
  std::memcpy(static_cast<void*>(&bucket[5]), static_cast<const void*>(&bucket[0]),
              sizeof bucket[0]);
  ReceiptClaim rival{.serial = 9, .state = ReceiptState::claiming, .slot = 1, .pid = 101};
  bucket[0].claim = rival.packed();
  Claim repeated = claim(key, 2);
  EXPECT_EQ(repeated.verdict, Verdict::repeated);
  EXPECT_EQ(repeated.answer, "the first");
  bucket[5].claim = 0;
  EXPECT_EQ(verdict(key, 2), Verdict::busy) << "now it may still win";
}

TEST_F(Receipts, AFullBucketRefusesWithoutForgettingAnybody) {
  std::vector<Claim> claims;
  for (uint64_t n = 1; n <= kWays; ++n) claims.push_back(claim(key_in(1, n)));
  for (const Claim& c : claims) EXPECT_EQ(c.verdict, Verdict::fresh);
  EXPECT_EQ(verdict(key_in(1, 99)), Verdict::full);
  EXPECT_EQ(verdict(key_in(0, 99)), Verdict::fresh);
  for (uint64_t n = 1; n <= kWays; ++n) EXPECT_EQ(verdict(key_in(1, n)), Verdict::busy);
  ASSERT_TRUE(table().abandon(claims[7]));
  Claim late = claim(key_in(1, 99));
  EXPECT_EQ(late.verdict, Verdict::fresh);
  EXPECT_EQ(late.index, claims[7].index);
}

TEST_F(Receipts, ABucketOfTheDeadCanBeUsedOnceTheyExpire) {
  for (uint64_t n = 1; n <= kWays; ++n) EXPECT_EQ(verdict(key_in(1, n), 1), Verdict::fresh);
  die(1);
  EXPECT_EQ(verdict(key_in(1, 99), 2, kLater - 1), Verdict::full);
  for (uint64_t n = 101; n <= 100 + kWays; ++n)
    EXPECT_EQ(verdict(key_in(1, n), 2, kLater), Verdict::fresh);
}

TEST_F(Receipts, EveryEntryCanBeUsed) {
  std::set<uint32_t> used;
  for (uint64_t bucket = 0; bucket < kCount / kWays; ++bucket)
    for (uint64_t n = 1; n <= kWays; ++n) used.insert(claim(key_in(bucket, n)).index);
  EXPECT_EQ(used.size(), kCount);
  EXPECT_EQ(*used.rbegin(), kCount - 1);
}

TEST_F(Receipts, ATableOfNothingIsOff) {
  EXPECT_FALSE(ReceiptTable(nullptr, 0, slots, kWorkers).enabled());
  EXPECT_TRUE(table().enabled());
}

// ---- the claim word

TEST(ReceiptClaim, HoldsTheLargestOfEverything) {
  ReceiptClaim largest{ReceiptClaim::kSerials - 1, ReceiptState::answered, ReceiptClaim::kSlots - 1,
                       ReceiptClaim::kPids - 1};
  ReceiptClaim back = ReceiptClaim::unpack(largest.packed());
  EXPECT_EQ(back.serial, largest.serial);
  EXPECT_EQ(back.state, largest.state);
  EXPECT_EQ(back.slot, largest.slot);
  EXPECT_EQ(back.pid, largest.pid);
}

TEST(ReceiptClaim, OfZeroIsFree) {
  EXPECT_EQ(ReceiptClaim::unpack(0).state, ReceiptState::free);
}

TEST_F(Receipts, TheSerialOfAnEntryWraps) {
  ReceiptClaim last{.serial = ReceiptClaim::kSerials - 1, .state = ReceiptState::free};
  for (uint32_t i = 0; i < kCount; ++i) entries[i].claim = last.packed();
  Claim first = claim(key);
  ASSERT_EQ(first.verdict, Verdict::fresh);
  EXPECT_EQ(ReceiptClaim::unpack(first.ticket).serial, 0u);
  ASSERT_TRUE(table().complete(first, 200, "wrapped"));
  EXPECT_EQ(claim(key).answer, "wrapped");
}

// Other processes wrote it: whatever it says, nothing outside the table is touched.
TEST_F(Receipts, NonsenseInMemoryStaysThere) {
  std::mt19937_64 random(20);
  for (int round = 0; round < 500; ++round) {
    for (uint32_t i = 0; i < kCount; ++i) {
      for (auto* word : {&entries[i].claim, &entries[i].fingerprint, &entries[i].outcome})
        *word = random();
      entries[i].key_hi = key.hi;
      entries[i].key_lo = key.lo;
      if (random() % 2 == 0) entries[i].fingerprint = kAsked;
    }
    Claim got = claim(key, 0, ~uint64_t{0} >> random() % 64);
    EXPECT_LE(got.answer.size(), kMaxReceiptBytes);
    EXPECT_LT(got.index, kCount);
  }
}

}  // namespace
}  // namespace holdfast::shm
