// Three processes claim the same keys as fast as they can; two of them are killed at random
// instants. A ledger in shared memory says who holds a key, so two that hold one show at once; an
// answer says which claim it is of, so a torn or another's one shows too.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::require;
using test::Shared;
using Verdict = ReceiptTable::Verdict;
using Claim = ReceiptTable::Claim;

constexpr uint64_t kAsked = 42;
constexpr uint32_t kReceipts = 4096;
// The rest of a bucket is for claims that will lose.
constexpr uint32_t kPerBucket = kWays - 4, kKeys = kReceipts / kWays * kPerBucket;
constexpr uint32_t kWindow = 6;  // so many keys are fought for at a time
constexpr uint16_t kMe = 2;      // this process's slot; 0 and 1 are killed
constexpr int kRounds = 60;

// What is known of one key in one round.
struct Known {
  std::atomic<bool> held;            // from behind claim() to before abandon(), or for good
  std::atomic<uint64_t> completing;  // the claim's number, before complete()
  std::atomic<uint64_t> answered;    // likewise, behind it
};

struct Ledger {
  std::atomic<uint64_t> now;
  std::atomic<uint32_t> cursor;  // all keys before it have been answered, or never will be
  std::atomic<uint64_t> claims;
  Known keys[kKeys];
};

// Length and bytes follow from the number.
std::string answer_of(uint64_t claim) {
  uint64_t mix = claim * 0x9e3779b97f4a7c15u;
  std::string text(sizeof claim + (mix >> 40) % (kMaxReceiptBytes - sizeof claim + 1),
                   char(mix >> 32));
  std::memcpy(text.data(), &claim, sizeof claim);
  return text;
}

std::optional<uint64_t> claim_of(const Claim& repeated) {
  uint64_t claim;
  if (repeated.answer.size() < sizeof claim) return {};
  std::memcpy(&claim, repeated.answer.data(), sizeof claim);
  if (repeated.answer != answer_of(claim) || repeated.status != claim % 1000) return {};
  return claim;
}

class ReceiptsKill : public testing::Test {
 protected:
  using Random = std::mt19937_64;

  ReceiptsKill() {
    auto made =
        Segment::create({test::own_instance("receipts"), "/run", 1}, {.max_workers = 3,
                                                                      .max_sessions = 1,
                                                                      .filter_buckets = 1,
                                                                      .mailbox_bytes = 1024,
                                                                      .receipts = kReceipts});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
    segment->slot(kMe).pid = uint32_t(getpid());
    ledger->now = 1'000'000;
  }

  ReceiptTable table() const { return segment->receipts(); }
  void give_back(const Claim& fresh) const { EXPECT_TRUE(table().abandon(fresh)); }
  // Neighbours share a bucket.
  Claim claim(uint32_t n, uint16_t slot) const {
    uint64_t now = ledger->now;
    return table().claim({now ^ n, n / kPerBucket}, kAsked, slot, now);
  }

  // Claims one of the keys that are fought for, and does with it what its verdict says. Returns
  // what was wrong, or null.
  const char* claim_one(uint16_t slot) {
    uint32_t cursor = ledger->cursor;
    if (cursor + kWindow > kKeys) return sched_yield(), nullptr;
    uint32_t n = cursor + uint32_t(random() % kWindow);
    Known& known = ledger->keys[n];
    bool answered = known.answered != 0;
    Claim got = claim(n, slot);
    if (got.verdict == Verdict::fresh) return carry_out(known, got);
    if (const char* wrong = judge(got, known, answered)) return wrong;
    // Nothing more becomes of this one.
    if (n == cursor && got.verdict != Verdict::busy)
      ledger->cursor.compare_exchange_strong(cursor, cursor + 1);
    return nullptr;
  }

  const char* judge(const Claim& got, const Known& known, bool answered_before) const {
    if (got.verdict == Verdict::repeated) {
      if (!claim_of(got)) return "an answer is torn";
      return *claim_of(got) == known.completing ? nullptr : "an answer of another claim";
    }
    if (got.verdict != Verdict::unknown && got.verdict != Verdict::busy)
      return "there is room, and the key is of this request";
    return answered_before ? "an answer is lost" : nullptr;
  }

  const char* carry_out(Known& known, const Claim& got) {
    if (known.held.exchange(true)) return "two have the key";
    if (known.answered != 0) return "fresh after its answer";
    for (uint64_t spin = random() % 256; spin > 0; --spin)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    if (random() % 4 == 0) {
      known.held = false;
      return table().abandon(got) ? nullptr : "a claim was taken away";
    }
    uint64_t number = ++ledger->claims;
    known.completing = number;
    if (!table().complete(got, uint16_t(number % 1000), answer_of(number)))
      return "a claim was taken away";
    known.answered = number;
    return nullptr;
  }

  std::unique_ptr<Child> start(uint16_t slot) {
    uint64_t seed = random();
    auto child = std::make_unique<Child>([this, slot, seed]() -> int {
      segment->slot(slot).pid = uint32_t(getpid());
      random.seed(seed);  // its own copy
      for (;;)
        if (const char* wrong = claim_one(slot)) require(false, wrong);
    });
    segment->slot(slot).pid = uint32_t(child->pid());
    return child;
  }
  void kill(Child& child, uint16_t slot) {
    ASSERT_TRUE(child.kill()) << "it saw something wrong";
    segment->slot(slot).pid = 0;
  }
  void take_part() {
    test::until_random_instant(random, 1500, [&] {
      const char* wrong = HasFatalFailure() ? nullptr : claim_one(kMe);
      ASSERT_EQ(wrong, nullptr) << wrong;
    });
  }

  // Everybody else is dead: what does the table say of a key, may it say so?
  void check(uint32_t n) {
    Known& known = ledger->keys[n];
    Claim got = claim(n, kMe);
    bool fresh = got.verdict == Verdict::fresh, unknown = got.verdict == Verdict::unknown;
    if (got.verdict == Verdict::repeated) {
      ASSERT_TRUE(claim_of(got)) << "torn";
      ASSERT_EQ(*claim_of(got), known.completing);
    } else if (known.answered != 0) {
      FAIL() << "the answer is lost";
    } else if (known.held) {
      ASSERT_TRUE(unknown);
    } else {
      ASSERT_TRUE(fresh || unknown);
    }
    if (fresh) give_back(got);
  }

  // Five minutes later every entry of the buckets that were used can be used again.
  void expire_all(uint32_t used) {
    uint64_t later = ledger->now += kReceiptLifeMs;
    std::vector<Claim> claims;
    for (uint32_t bucket = 0; bucket * kPerBucket < used; ++bucket)
      for (uint32_t n = 0; n < kWays; ++n)
        claims.push_back(table().claim({n, bucket}, kAsked, kMe, later));
    for (const Claim& c : claims) {
      ASSERT_EQ(c.verdict, Verdict::fresh);
      give_back(c);
    }
    for (uint32_t n = 0; n < used; ++n) {
      Known& known = ledger->keys[n];
      known.held = false;
      known.completing = known.answered = 0;
    }
    ledger->cursor = 0;
    ledger->now += kReceiptLifeMs;
  }

  std::unique_ptr<Segment> segment;
  Shared<Ledger> ledger;
  Random random{test::test_seed()};
};

TEST_F(ReceiptsKill, NoKeyIsFreshTwiceAndNoAnswerIsTorn) {
  SCOPED_TRACE(test::seed_note());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    uint64_t claims = ledger->claims;
    auto first = start(0), second = start(1);
    ASSERT_TRUE(test::soon([&] { return ledger->claims > claims || first->ended(); }));
    take_part();
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_NO_FATAL_FAILURE(kill(*first, 0));
    take_part();  // the dead one's keys among others
    first = start(0);
    take_part();
    ASSERT_NO_FATAL_FAILURE(kill(*first, 0));
    ASSERT_NO_FATAL_FAILURE(kill(*second, 1));
    uint32_t used = std::min(ledger->cursor + kWindow, kKeys);
    for (uint32_t n = 0; n < used; ++n) ASSERT_NO_FATAL_FAILURE(check(n)) << n;
    ASSERT_NO_FATAL_FAILURE(expire_all(used));
  }
}

}  // namespace
}  // namespace holdfast::shm
