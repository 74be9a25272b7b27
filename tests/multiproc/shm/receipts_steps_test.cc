// Claims that meet in the middle: one process stands still after any number of instructions of its
// call, or dies there, while another makes the same claim. So every moment is tried, not only the
// likely ones.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/multiproc/shm/stepped.h"

namespace holdfast::shm {
namespace {

using test::Shared;
using test::Stepped;
using Verdict = ReceiptTable::Verdict;
using Claim = ReceiptTable::Claim;

constexpr uint64_t kAsked = 42, kNow = 1'000'000, kLater = kNow + kReceiptLifeMs;
constexpr uint32_t kWorkers = 4;
constexpr uint16_t kMe = 3;       // this process's slot
constexpr unsigned kPoints = 40;  // other ones with every seed

// What a stepped process tells of its claim.
struct Told {
  std::atomic<int> verdict;  // -1: not through
  std::atomic<uint16_t> status;
  std::atomic<size_t> length;
  char answer[kMaxReceiptBytes];

  Verdict is() const { return Verdict(verdict.load()); }
  std::string text() const { return {answer, length.load()}; }
};
struct ToldOf {
  Told slot[kWorkers];
};

class ReceiptSteps : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::may_step()) GTEST_SKIP() << "ptrace(2) is not allowed here";
  }
  ReceiptSteps() {
    auto made =
        Segment::create({test::own_instance("steps"), "/run", 1}, {.max_workers = kWorkers,
                                                                   .max_sessions = 1,
                                                                   .filter_buckets = 1,
                                                                   .mailbox_bytes = 1024,
                                                                   .receipts = kMinReceipts});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
    segment->slot(kMe).pid = uint32_t(getpid());
  }

  // A bucket nobody has used since its keys expired, and a key of it.
  void next_round() { now += 2 * kReceiptLifeMs; }
  // The nth key of the bucket in this round.
  ReceiptKey key(uint64_t n = 0) const { return {now + n, 0}; }

  ReceiptTable table() const { return segment->receipts(); }
  Claim claim(const ReceiptKey& k, uint16_t slot = kMe) const {
    return table().claim(k, kAsked, slot, now);
  }
  void give_back(const Claim& fresh) const { EXPECT_TRUE(table().abandon(fresh)); }
  // What a claim says, without holding the key afterwards: what is under way does not expire.
  Verdict verdict(const ReceiptKey& k) const {
    Claim got = claim(k);
    if (got.verdict == Verdict::fresh) give_back(got);
    return got.verdict;
  }

  using Process = std::unique_ptr<Stepped>;
  // A process that serves `slot` and stands before body().
  Process worker(uint16_t slot, const std::function<void()>& body) const {
    auto process = std::make_unique<Stepped>(body);
    segment->slot(slot).pid = uint32_t(process->pid());
    return process;
  }
  Process claimer(uint16_t slot, const ReceiptKey& k) const {
    told->slot[slot].verdict = -1;
    return worker(slot, [this, slot, k] {
      Claim got = claim(k, slot);
      Told& say = told->slot[slot];
      say.status = got.status;
      say.length = got.answer.size();
      std::memcpy(say.answer, got.answer.data(), got.answer.size());
      say.verdict = int(got.verdict);
    });
  }
  // As the master does after reaping it.
  void bury(uint16_t slot, Stepped& process) const {
    process.kill();
    segment->slot(slot).pid = 0;
  }
  // Of the bucket nothing is lost, whatever happened in it: after five minutes all of it is free.
  void expect_whole_bucket() {
    next_round();
    std::vector<Claim> claims;
    for (uint64_t n = 1; n <= kWays; ++n) claims.push_back(claim(key(n)));
    for (const Claim& c : claims) {
      ASSERT_EQ(c.verdict, Verdict::fresh);
      give_back(c);
    }
  }

  std::unique_ptr<Segment> segment;
  Shared<ToldOf> told;
  uint64_t now = kNow;
  std::mt19937_64 random{test::test_seed()};
};

TEST_F(ReceiptSteps, OfTwoClaimsThatMeetOneIsFresh) {  // I3
  SCOPED_TRACE(test::seed_note());
  auto make = [&] { return claimer(0, key()); };
  unsigned length = test::instructions_of(make);
  // With a hole in the bucket before it, the second claim takes an entry before the first one's.
  for (bool hole : {false, true}) {
    for (unsigned point : test::spread(length, kPoints, random)) {
      SCOPED_TRACE(point);
      next_round();
      Claim before = claim(key(1));
      Process first = make();
      first->step(point);
      if (hole) give_back(before);
      Claim mine = claim(key());
      ASSERT_TRUE(first->finish());
      Verdict theirs = told->slot[0].is();
      ASSERT_NE(mine.verdict == Verdict::fresh, theirs == Verdict::fresh);
      ASSERT_TRUE(mine.verdict == Verdict::busy || theirs == Verdict::busy);
      ASSERT_EQ(verdict(key()), Verdict::busy);
      if (!hole) give_back(before);
      if (mine.verdict == Verdict::fresh) give_back(mine);
    }
  }
}

// Three go on in turns of random length, while the bucket's first entries come free.
TEST_F(ReceiptSteps, OfThreeInterleavedClaimsOneIsFresh) {  // I3
  SCOPED_TRACE(test::seed_note());
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    next_round();
    std::vector<Claim> before;
    for (uint64_t n = 1; n <= 3; ++n) before.push_back(claim(key(n)));
    Process workers[3];
    for (uint16_t slot = 0; slot < 3; ++slot) workers[slot] = claimer(slot, key());
    unsigned longest = 1u << random() % 9;
    for (unsigned going = 7; going != 0;) {
      unsigned slot = unsigned(random() % 3);
      if (!workers[slot]->step(1 + unsigned(random() % longest))) going &= ~(1u << slot);
      if (!before.empty() && random() % 16 == 0) {
        give_back(before.back());
        before.pop_back();
      }
    }
    int fresh = 0;
    for (uint16_t slot = 0; slot < 3; ++slot) {
      ASSERT_TRUE(workers[slot]->finish());
      fresh += told->slot[slot].is() == Verdict::fresh;
      ASSERT_TRUE(told->slot[slot].is() == Verdict::fresh ||
                  told->slot[slot].is() == Verdict::busy);
    }
    ASSERT_EQ(fresh, 1);
    for (const Claim& left : before) give_back(left);
    for (uint16_t slot = 0; slot < 3; ++slot) bury(slot, *workers[slot]);
    ASSERT_NO_FATAL_FAILURE(expect_whole_bucket());
  }
}

TEST_F(ReceiptSteps, AKeyIsFreshAgainOnlyIfItsDeadClaimerHadNotBegun) {  // I4, I5
  SCOPED_TRACE(test::seed_note());
  auto make = [&] { return claimer(0, key()); };
  for (unsigned point : test::spread(test::instructions_of(make), kPoints, random)) {
    SCOPED_TRACE(point);
    next_round();
    Process worker = make();
    worker->step(point);
    bury(0, *worker);
    bool returned = told->slot[0].verdict != -1;
    Claim next = claim(key());
    ASSERT_TRUE(next.verdict == Verdict::unknown || (!returned && next.verdict == Verdict::fresh));
    if (next.verdict == Verdict::fresh) {
      ASSERT_TRUE(table().complete(next, 200, "{}"));
      ASSERT_EQ(verdict(key()), Verdict::repeated);
    }
    ASSERT_NO_FATAL_FAILURE(expect_whole_bucket());
  }
}

TEST_F(ReceiptSteps, AnAnswerIsThereWholeOrNotAtAll) {
  SCOPED_TRACE(test::seed_note());
  const std::string text(kMaxReceiptBytes, 'x');
  Claim taken;
  auto make = [&] { return worker(0, [&] { table().complete(taken, 201, text); }); };
  unsigned length = test::instructions_of(make);
  for (unsigned point : test::spread(length, kPoints, random)) {
    SCOPED_TRACE(point);
    next_round();
    Process dying = worker(0, [] {});
    taken = claim(key(), 0);
    Process completing = make();
    // The claim is the one of the process that completes it.
    segment->slot(0).pid = uint32_t(dying->pid());
    bool inside = completing->step(point);
    Claim seen = claim(key());
    bool answered = seen.verdict == Verdict::repeated;
    ASSERT_TRUE(answered || (inside && seen.verdict == Verdict::busy));
    ASSERT_TRUE(!answered || (seen.status == 201 && seen.answer == text));
    completing->kill();
    bury(0, *dying);
    ASSERT_EQ(verdict(key()), answered ? Verdict::repeated : Verdict::unknown);
  }
}

// The reader stands in the middle of an entry that expires, is used for another key and answered.
TEST_F(ReceiptSteps, AReaderOvertakenByAnotherKeyTearsNothing) {  // I1
  SCOPED_TRACE(test::seed_note());
  const std::string old_text(150, 'o'), new_text(kMaxReceiptBytes, 'n');
  Claim first;
  auto make = [&] {
    next_round();
    first = claim(key());
    EXPECT_TRUE(table().complete(first, 200, old_text));
    return claimer(0, key());
  };
  for (unsigned point : test::spread(test::instructions_of(make), 4 * kPoints, random)) {
    SCOPED_TRACE(point);
    Process reader = make();
    reader->step(point);
    uint64_t before = now;
    now += kReceiptLifeMs;
    Claim second = table().claim({before + 7, 0}, kAsked + 1, kMe, now);
    now = before;
    ASSERT_EQ(second.verdict, Verdict::fresh);
    ASSERT_EQ(second.index, first.index);
    ASSERT_TRUE(table().complete(second, 500, new_text));
    ASSERT_TRUE(reader->finish());
    const Told& got = told->slot[0];
    if (got.is() == Verdict::repeated)
      ASSERT_TRUE(got.status == 200 && got.text() == old_text);
    else
      ASSERT_EQ(got.is(), Verdict::fresh);
  }
}

}  // namespace
}  // namespace holdfast::shm
