// A ring between two processes, one of which is killed at random instants and replaced. Records are
// numbered, and their length and bytes follow from the number, so a torn one shows.
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

#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::require;
using test::Shared;

constexpr uint32_t kRing = 4096;  // small: it is full, empty and at its end often
constexpr int kRounds = 250;

using Random = std::mt19937_64;

// kind = number + 1, the body tells whose and which it is and is filled up with one byte.
struct Letter {
  uint64_t number;
  uint64_t incarnation;
};

std::string body_of(const Letter& letter) {
  uint64_t mix = (letter.number + letter.incarnation * 77) * 0x9e3779b97f4a7c15u;
  std::string body(sizeof letter + (mix >> 40) % 300, char(mix >> 32));
  std::memcpy(body.data(), &letter, sizeof letter);
  return body;
}

std::optional<Letter> read_letter(const Record& record) {
  Letter letter;
  if (record.body.size() < sizeof letter) return {};
  std::memcpy(&letter, record.body.data(), sizeof letter);
  if (record.kind != uint32_t(letter.number + 1) || record.body != body_of(letter)) return {};
  return letter;
}

bool push(MailboxRing& ring, const Letter& letter) {
  return ring.push(uint32_t(letter.number + 1), body_of(letter));
}

struct MailboxKill : testing::Test {
  MailboxKill() {
    auto made = Segment::create(
        {test::own_instance("mailbox"), "/run", 1},
        {.max_workers = 2, .max_sessions = 1, .filter_buckets = 1, .mailbox_bytes = kRing});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
    ring.emplace(segment->ring(0, 1));
  }

  std::unique_ptr<Segment> segment;
  std::optional<MailboxRing> ring;
  Shared<std::atomic<uint64_t>> progress;  // by the child that is killed
  Random random{test::test_seed()};
};

using KilledProducer = MailboxKill;
using KilledConsumer = MailboxKill;

// Each incarnation numbers from 0 and says in `progress` how many push() took. All of those arrive,
// in order, whole and once; of the one it was at when it died, nothing or all.
TEST_F(KilledProducer, LosesNothingItHandedOverAndTearsNothing) {
  SCOPED_TRACE(test::seed_note());
  for (uint64_t incarnation = 0; incarnation < kRounds; ++incarnation) {
    SCOPED_TRACE("round " + std::to_string(incarnation));
    *progress = 0;
    Child producer([&]() -> int {
      for (uint64_t n = 0;;)
        if (push(*ring, {n, incarnation})) *progress = ++n;
    });
    uint64_t next = 0;
    auto take_one = [&] {
      bool broken = false;
      std::optional<Record> record = ring->front(&broken);
      ASSERT_FALSE(broken);
      if (!record) {
        sched_yield();  // the producer may need this processor
        return;
      }
      std::optional<Letter> letter = read_letter(*record);
      ASSERT_TRUE(letter) << "torn";
      ASSERT_EQ(letter->incarnation, incarnation);
      ASSERT_EQ(letter->number, next++);
      ring->pop();
    };
    ASSERT_TRUE(test::soon([&] { return *progress > 0; }));
    test::until_random_instant(random, 3000, take_one);
    ASSERT_TRUE(producer.kill());
    while (!ring->empty() && !HasFatalFailure()) take_one();
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_GE(next, *progress);
    ASSERT_LE(next, *progress + 1);
  }
}

// The consumer uses a record (here: says so in `progress`) and then pops it. Killed between the
// two, its successor uses that one again; every other one is used once. // I2
TEST_F(KilledConsumer, RepeatsAtMostTheRecordItWasAt) {
  SCOPED_TRACE(test::seed_note());
  Shared<std::atomic<uint64_t>> repeats;
  Shared<std::atomic<int>> ready;
  uint64_t pushed = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    *ready = 0;
    // `progress`: how many different records were used, all of them below.
    Child consumer([&]() -> int {
      bool first = true;
      for (;;) {
        *ready = 1;
        bool broken = false;
        std::optional<Record> record = ring->front(&broken);
        require(!broken, "the ring is whole");
        if (!record) continue;
        std::optional<Letter> letter = read_letter(*record);
        require(letter.has_value(), "the record is whole");
        bool again = first && letter->number + 1 == *progress;
        require(again || letter->number == *progress, "none is left out or repeated");
        if (again) ++*repeats;
        *progress = letter->number + 1;
        ring->pop();
        first = false;
      }
    });
    ASSERT_TRUE(test::soon([&] { return *ready != 0 || consumer.ended(); }));
    test::until_random_instant(random, 3000, [&] {
      if (push(*ring, {pushed, 0}))
        ++pushed;
      else
        sched_yield();  // the consumer may need this processor
    });
    if (round == 0) {
      ASSERT_TRUE(test::soon([&] { return *progress > 0 || consumer.ended(); }));
    }
    ASSERT_TRUE(consumer.kill()) << "it saw something wrong";
    ASSERT_LE(*progress, pushed);
  }
  // What the last one left is there for the next.
  bool broken = false;
  uint64_t left = *progress;
  while (std::optional<Record> record = ring->front(&broken)) {
    std::optional<Letter> letter = read_letter(*record);
    ASSERT_TRUE(letter);
    ASSERT_TRUE(letter->number == left || letter->number + 1 == *progress);
    left = letter->number + 1;
    ring->pop();
  }
  EXPECT_FALSE(broken);
  EXPECT_EQ(left, pushed);
  EXPECT_LE(*repeats, uint64_t{kRounds});
}

}  // namespace
}  // namespace holdfast::shm
