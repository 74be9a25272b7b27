#include "shm/mailbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <random>
#include <string>

#include "base/fd.h"
#include "tests/unit/shm/guarded_ring.h"

namespace holdfast::shm {
namespace {

constexpr uint32_t kCapacity = 1024;

class Mailbox : public testing::Test {
 protected:
  // The oldest record as "kind:body"; "" if there is none, "broken" if it makes no sense.
  std::string take() {
    bool broken = false;
    std::optional<Record> record = ring.front(&broken);
    if (broken) return "broken";
    if (!record) return "";
    std::string text = std::to_string(record->kind) + ":" + std::string(record->body);
    ring.pop();
    return text;
  }

  GuardedRing memory{kCapacity};
  MailboxRing ring = memory.ring();
};

TEST_F(Mailbox, IsEmptyAtFirst) {
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.used_bytes(), 0u);
  EXPECT_EQ(take(), "");
}

TEST_F(Mailbox, GivesRecordsInTheirOrder) {
  EXPECT_TRUE(ring.push(1, "one"));
  EXPECT_TRUE(ring.push(2, ""));
  EXPECT_TRUE(ring.push(3, "three"));
  EXPECT_FALSE(ring.empty());
  EXPECT_EQ(take(), "1:one");
  EXPECT_EQ(take(), "2:");
  EXPECT_EQ(take(), "3:three");
  EXPECT_EQ(take(), "");
  EXPECT_TRUE(ring.empty());
}

TEST_F(Mailbox, ARecordStaysUntilPop) {  // I2
  ring.push(1, "one");
  bool broken = false;
  EXPECT_EQ(ring.front(&broken)->body, "one");
  EXPECT_EQ(memory.ring().front(&broken)->body, "one");  // as the successor would see it
  EXPECT_EQ(take(), "1:one");
}

TEST_F(Mailbox, ARecordTakesItsHeadAndItsBodyInEights) {
  for (size_t body : {0, 1, 7, 8, 9, 16}) {
    uint64_t before = ring.used_bytes();
    ring.push(1, std::string(body, 'x'));
    EXPECT_EQ(ring.used_bytes() - before, kRecordHead + (body + 7) / 8 * 8);
  }
}

TEST_F(Mailbox, TakesRecordsUntilTheLastByte) {
  for (uint32_t i = 0; i < kCapacity / 16; ++i) EXPECT_TRUE(ring.push(1, "12345678"));
  EXPECT_FALSE(ring.push(1, ""));
  EXPECT_EQ(ring.used_bytes(), kCapacity);
  EXPECT_EQ(take(), "1:12345678");
  EXPECT_TRUE(ring.push(1, "12345678"));
}

TEST_F(Mailbox, TheLargestBodyFitsWhereverTheRingStands) {
  std::string largest(MailboxRing::max_body(kCapacity), 'L');
  for (uint32_t stand = 0; stand < kCapacity; stand += 8) {
    GuardedRing fresh(kCapacity);
    fresh.head().head = fresh.head().tail = stand;
    ASSERT_TRUE(fresh.ring().push(7, largest)) << stand;
    bool broken = false;
    std::optional<Record> record = fresh.ring().front(&broken);
    ASSERT_TRUE(record) << stand;
    EXPECT_EQ(record->body, largest);
    fresh.ring().pop();
    EXPECT_TRUE(fresh.ring().empty());
  }
}

TEST_F(Mailbox, RecordsNeverWrap) {
  const char* begin = memory.bytes();
  std::mt19937 random(5);
  for (uint32_t n = 0; n < 10'000; ++n) {
    std::string body(random() % (MailboxRing::max_body(kCapacity) + 1), char('a' + n % 26));
    ASSERT_TRUE(ring.push(n + 1, body));
    bool broken = false;
    std::optional<Record> record = ring.front(&broken);
    ASSERT_TRUE(record);
    ASSERT_EQ(record->kind, n + 1);
    ASSERT_EQ(record->body, body);
    ASSERT_GE(record->body.data(), begin);
    ASSERT_LE(record->body.data() + record->body.size(), begin + kCapacity);
    ring.pop();
  }
}

TEST_F(Mailbox, AgreesWithAQueue) {
  std::mt19937 random(6);
  std::deque<std::string> expected;
  uint64_t refused = 0;
  for (uint32_t n = 1; n < 50'000; ++n) {
    if (random() % 2 == 0) {
      std::string body(random() % 100, char('a' + n % 26));
      if (ring.push(n, body))
        expected.push_back(std::to_string(n) + ":" + body);
      else
        ++refused;
    } else {
      std::string wanted = expected.empty() ? "" : expected.front();
      ASSERT_EQ(take(), wanted);
      if (!expected.empty()) expected.pop_front();
    }
  }
  EXPECT_GT(refused, 100u);  // both ends of the road were travelled
}

TEST_F(Mailbox, CountsGoOnPastTheirLastByte) {
  memory.head().head = memory.head().tail = UINT64_MAX - 63;
  for (uint32_t n = 1; n <= 64; ++n) {
    ASSERT_TRUE(ring.push(n, "12345678"));
    ASSERT_EQ(take(), std::to_string(n) + ":12345678");
  }
}

TEST_F(Mailbox, WhatIsNotPublishedIsNotThere) {  // I1
  ring.push(1, "one");
  uint64_t published = memory.head().head;
  ring.push(2, "two");
  memory.head().head = published;  // killed before the store
  EXPECT_EQ(take(), "1:one");
  EXPECT_EQ(take(), "");
  EXPECT_TRUE(ring.push(3, "three"));  // the next producer goes on from there
  EXPECT_EQ(take(), "3:three");
}

TEST_F(Mailbox, DiscardEmptiesIt) {
  ring.push(1, "one");
  ring.push(2, "two");
  ring.discard();
  EXPECT_TRUE(ring.empty());
  ring.push(3, "three");
  EXPECT_EQ(take(), "3:three");
}

TEST_F(Mailbox, ALengthPastHeadIsBrokenAndLeavesTheNextOnesAlone) {
  for (uint32_t length : {9u, 17u, kCapacity, 0xffff'fff8u, 0xffff'ffffu}) {
    GuardedRing other(kCapacity);
    MailboxRing r = other.ring();
    r.push(1, "12345678");
    std::memcpy(other.bytes(), &length, sizeof length);
    bool broken = false;
    EXPECT_FALSE(r.front(&broken));
    EXPECT_TRUE(broken) << length;
    r.discard();
    EXPECT_TRUE(r.empty());
    EXPECT_TRUE(r.push(2, "next"));
    EXPECT_EQ(r.front(&broken)->body, "next");
    EXPECT_FALSE(broken);
  }
}

TEST_F(Mailbox, ATailPastHeadIsBrokenAndTakesNothingMore) {
  ring.push(1, "one");
  for (uint64_t past : {uint64_t{8}, uint64_t{kCapacity}, uint64_t{1} << 63}) {
    memory.head().tail = memory.head().head + past;
    EXPECT_FALSE(ring.push(2, "two"));
    EXPECT_EQ(take(), "broken");
  }
  ring.discard();
  EXPECT_TRUE(ring.push(3, "three"));
  EXPECT_EQ(take(), "3:three");
}

TEST_F(Mailbox, MoreThanARingfulIsBroken) {
  ring.push(1, "one");
  memory.head().head += kCapacity;
  EXPECT_EQ(take(), "broken");
  EXPECT_FALSE(ring.push(2, "two"));
}

// Whatever is in the segment: no access outside the ring (the pages beside it are not mapped), and
// after one discard on each side records pass again.
TEST_F(Mailbox, SurvivesEveryScribble) {  // I5
  std::mt19937_64 random(8);
  for (int round = 0; round < 20'000; ++round) {
    uint64_t near = random() % 4096;
    uint64_t values[] = {random(), near, 0 - near, memory.head().head + near - 2048};
    if (random() % 2) memory.head().head = values[random() % 4];
    if (random() % 2) memory.head().tail = values[random() % 4];
    for (size_t i = 0; i < kCapacity; i += 4) {
      uint32_t word = random() % 4 == 0 ? uint32_t(random()) : uint32_t(random() % 64);
      std::memcpy(memory.bytes() + i, &word, sizeof word);
    }
    for (int step = 0; step < 20; ++step) {
      bool broken = false;
      switch (random() % 3) {
        case 0:
          ring.push(1, std::string(random() % (MailboxRing::max_body(kCapacity) + 1), 'p'));
          break;
        case 1:
          if (std::optional<Record> record = ring.front(&broken)) {
            ASSERT_GE(record->body.data(), memory.bytes());
            ASSERT_LE(record->body.data() + record->body.size(), memory.bytes() + kCapacity);
            ring.pop();
          }
          break;
        default:
          if (ring.front(&broken); broken) ring.discard();
      }
    }
    ring.discard();
    ASSERT_TRUE(ring.empty());
    ASSERT_TRUE(ring.push(2, "healed"));
    ASSERT_EQ(take(), "2:healed");
  }
}

// Each begin_use() without a pop() is a process that died.
TEST_F(Mailbox, ARecordIsUsedTwiceAtMost) {  // I6
  ring.push(1, "poison");
  ring.push(2, "next");
  EXPECT_TRUE(ring.begin_use());
  EXPECT_TRUE(ring.begin_use());
  EXPECT_FALSE(ring.begin_use());
  EXPECT_EQ(take(), "1:poison");
  EXPECT_TRUE(ring.begin_use());
  EXPECT_EQ(take(), "2:next");
  ring.push(3, "third");
  EXPECT_TRUE(ring.begin_use());
  ring.discard();
  ring.push(4, "fourth");
  EXPECT_TRUE(ring.begin_use());
  EXPECT_TRUE(ring.begin_use());
}

TEST_F(Mailbox, ProducerWaitsIsWhatItSaid) {  // I3
  EXPECT_FALSE(ring.producer_waits());
  ring.set_waiting(true);
  EXPECT_TRUE(ring.producer_waits());
  ring.set_waiting(false);
  EXPECT_FALSE(ring.producer_waits());
}

class Doorbell : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    read_end = UniqueFd(ends[0]);
    write_end = UniqueFd(ends[1]);
  }
  bool readable() const {
    pollfd wait{read_end.get(), POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  }

  SlotHead head{};
  UniqueFd read_end, write_end;
};

TEST_F(Doorbell, RingsOnlyForASleeper) {
  EXPECT_FALSE(ring_doorbell(head, write_end.get()));
  EXPECT_FALSE(readable());
  announce_sleep(head);
  EXPECT_TRUE(ring_doorbell(head, write_end.get()));
  EXPECT_TRUE(readable());
}

TEST_F(Doorbell, RingsOnceForOneSleep) {
  announce_sleep(head);
  EXPECT_TRUE(ring_doorbell(head, write_end.get()));
  EXPECT_FALSE(ring_doorbell(head, write_end.get()));
}

TEST_F(Doorbell, IsSilentForOneThatAwokeByItself) {
  announce_sleep(head);
  announce_awake(head);
  EXPECT_FALSE(ring_doorbell(head, write_end.get()));
}

TEST_F(Doorbell, DrainEmptiesThePipe) {
  std::string bells(1000, 'b');
  ASSERT_EQ(write(write_end.get(), bells.data(), bells.size()), ssize_t(bells.size()));
  drain_doorbell(read_end.get());
  EXPECT_FALSE(readable());
  drain_doorbell(read_end.get());  // and does not block
}

TEST_F(Doorbell, AFullPipeWakesAnyway) {
  std::string bells(4096, 'b');
  while (write(write_end.get(), bells.data(), bells.size()) > 0) continue;
  while (write(write_end.get(), "b", 1) > 0) continue;
  announce_sleep(head);
  EXPECT_FALSE(ring_doorbell(head, write_end.get()));
  EXPECT_TRUE(readable());
}

TEST_F(Doorbell, NobodyBehindThePipeIsNoError) {
  signal(SIGPIPE, SIG_IGN);
  read_end.reset();
  announce_sleep(head);
  EXPECT_FALSE(ring_doorbell(head, write_end.get()));
}

}  // namespace
}  // namespace holdfast::shm
