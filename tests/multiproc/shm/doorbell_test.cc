// Wake-ups between processes that really sleep: whoever is never woken ends the test by its time
// limit. Senders keep records that do not fit and sleep until the reader makes room, so both uses
// of the doorbell (I3 and I4 of shm/mailbox.h) are under way at once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/fd.h"
#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::require;
using test::Shared;

constexpr uint32_t kSlots = 3, kReader = 2;
constexpr uint32_t kRing = 1024;
constexpr uint64_t kLetters = 300'000;  // from each sender, at most
constexpr uint64_t kEnoughMs = 1500;    // of each test: a slow machine does fewer rounds
constexpr uint32_t kLast = UINT32_MAX;  // kind of the record after which none comes

struct Sleeps {
  std::atomic<uint64_t> of[kSlots];
};

class DoorbellStress : public testing::Test {
 protected:
  DoorbellStress() {
    auto made = Segment::create(
        {test::own_instance("doorbell"), "/run", 1},
        {.max_workers = kSlots, .max_sessions = 1, .filter_buckets = 1, .mailbox_bytes = kRing});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
    for (uint32_t s = 0; s < kSlots; ++s) {
      int ends[2];
      if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
      read_ends.emplace_back(ends[0]);
      write_ends.emplace_back(ends[1]);
    }
  }

  void ring_bell(uint32_t slot) const {
    ring_doorbell(segment->slot(slot), write_ends[slot].get());
  }

  // Returns once `ready` holds, as a worker's loop does: look, announce, look again, sleep.
  template <class Ready>
  void sleep_unless(uint32_t me, Ready&& ready) const {
    while (!ready()) {
      announce_sleep(segment->slot(me));
      if (!ready()) {
        pollfd bell{read_ends[me].get(), POLLIN, 0};
        ++sleeps->of[me];
        require(poll(&bell, 1, test::timeout_ms()) == 1, "somebody rings");
      }
      announce_awake(segment->slot(me));
      drain_doorbell(read_ends[me].get());
    }
  }

  bool has_slept(uint32_t slot) const { return sleeps->of[slot] > 0; }

  void send(uint32_t me, uint32_t kind, const std::string& body) const {
    MailboxRing ring = ring_of(me);
    if (!ring.push(kind, body)) {
      bool sent = false;
      ring.set_waiting(true);
      sleep_unless(me, [&] { return sent = sent || ring.push(kind, body); });
      ring.set_waiting(false);
    }
    ring_bell(kReader);
  }

  // The first letter comes to a reader that sleeps.
  int send_all(uint32_t me) const {
    std::mt19937_64 random(test::test_seed() + me);
    require(test::soon([&] { return has_slept(kReader); }), "the reader sleeps");
    uint64_t end = monotonic_ms() + kEnoughMs;
    for (uint32_t n = 1; n <= kLetters && (monotonic_ms() < end || !has_slept(me)); ++n) {
      send(me, n, std::string(random() % 200, char(n)));
      // Now and then the reader gets the time to fall asleep.
      for (uint64_t spin = random() % 8 == 0 ? random() % 4000 : 0; spin > 0; --spin)
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    require(has_slept(me), "the ring was full before the reader began");
    send(me, kLast, "");
    return 0;
  }

  // Begins when both senders sleep on full rings. Takes at most a few letters at a time, for the
  // senders to fill the rest.
  int read_all() const {
    uint32_t next[kReader] = {1, 1};
    auto mail = [&] { return !ring_of(0).empty() || !ring_of(1).empty(); };
    sleep_unless(kReader, mail);
    require(test::soon([&] { return has_slept(0) && has_slept(1); }), "the senders sleep");
    while (next[0] != kLast || next[1] != kLast) {
      sleep_unless(kReader, mail);
      for (uint32_t from = 0; from < kReader; ++from) next[from] = take_some(from, next[from]);
    }
    return 0;
  }

  // The number of the next letter; kLast: there is none.
  uint32_t take_some(uint32_t from, uint32_t next) const {
    MailboxRing ring = ring_of(from);
    for (int n = 0; n < 8; ++n) {
      bool broken = false;
      std::optional<Record> record = ring.front(&broken);
      require(!broken, "the ring is whole");
      if (!record) break;
      require(record->kind == next || record->kind == kLast, "records come in order");
      next = record->kind == kLast ? kLast : next + 1;
      ring.pop();
    }
    if (ring.producer_waits()) ring_bell(from);
    return next;
  }

  MailboxRing ring_of(uint32_t from) const { return segment->ring(from, kReader); }

  std::unique_ptr<Segment> segment;
  std::vector<UniqueFd> read_ends, write_ends;
  Shared<Sleeps> sleeps;
};

// The two tests after this aim at the one moment that fences are for: the other side acts just when
// the sleeper announces itself. Each has a processor of its own and a random delay, so that many of
// the rounds hit.
class DoorbellMoment : public DoorbellStress {
 protected:
  static constexpr uint32_t kSender = 0;

  template <class Body>
  auto on_other_processor(Body body) {
    return [this, body] {
      test::OnProcessor other(1);
      random.seed(test::test_seed() + 1);
      return body();
    };
  }
  void random_delay() {
    for (uint64_t spin = random() % 512; spin > 0; --spin)
      std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  std::mt19937_64 random{test::test_seed()};
};

TEST_F(DoorbellMoment, ARecordThatComesAtFallingAsleepIsHeard) {  // I4
  SCOPED_TRACE(test::seed_note());
  MailboxRing ring = ring_of(kSender);
  Child reader(on_other_processor([&] {
    for (bool last = false; !last;) {
      sleep_unless(kReader, [&] { return !ring.empty(); });
      bool broken = false;
      last = ring.front(&broken)->kind == kLast;
      ring.discard();
      random_delay();
    }
    return 0;
  }));
  test::OnProcessor here(0);
  // Nobody wakes it, so it must come to that.
  ASSERT_TRUE(test::soon([&] { return has_slept(kReader) || reader.ended(); }));
  uint64_t end = monotonic_ms() + kEnoughMs;
  bool last = false;
  for (int n = 1; !last; ++n) {
    ASSERT_TRUE(test::soon([&] { return ring.empty() || reader.ended(); }));
    random_delay();
    ASSERT_TRUE(ring.empty()) << "the reader gave up in round " << n;
    last = monotonic_ms() > end;
    ASSERT_TRUE(ring.push(last ? kLast : 1, "x"));
    ring_bell(kReader);
  }
  EXPECT_EQ(reader.exit_status(), 0);
}

TEST_F(DoorbellMoment, RoomMadeAtFallingAsleepIsHeard) {  // I3
  SCOPED_TRACE(test::seed_note());
  std::string half(MailboxRing::max_body(kRing), 'x');  // two of these fill the ring
  MailboxRing ring = ring_of(kSender);
  Child sender(on_other_processor([&] {
    for (uint64_t end = 0; end == 0 || monotonic_ms() < end;) {
      if (ring.push(1, half)) continue;
      bool sent = false;
      random_delay();
      ring.set_waiting(true);
      sleep_unless(kSender, [&] { return sent = sent || ring.push(1, half); });
      ring.set_waiting(false);
      if (end == 0) end = monotonic_ms() + kEnoughMs;
    }
    return 0;
  }));
  test::OnProcessor here(0);
  // Nobody makes room, so it must come to that.
  ASSERT_TRUE(test::soon([&] { return has_slept(kSender) || sender.ended(); }));
  for (;;) {
    ASSERT_TRUE(test::soon([&] { return ring.used_bytes() == kRing || sender.ended(); }));
    if (sender.ended()) break;
    random_delay();
    ring.discard();
    if (ring.producer_waits()) ring_bell(kSender);
  }
  EXPECT_EQ(sender.exit_status(), 0);
}

TEST_F(DoorbellStress, WakesEverySleeper) {
  SCOPED_TRACE(test::seed_note());
  Child reader([&] { return read_all(); });
  Child first([&] { return send_all(0); });
  Child second([&] { return send_all(1); });
  // A lost bell ends one of them after timeout_ms(); the others then wait as long once more.
  auto ended = [&] { return reader.ended() && first.ended() && second.ended(); };
  EXPECT_TRUE(test::eventually(ended, 6 * test::timeout_ms()));
  EXPECT_EQ(reader.exit_status(), 0);
  EXPECT_EQ(first.exit_status(), 0);
  EXPECT_EQ(second.exit_status(), 0);
}

}  // namespace
}  // namespace holdfast::shm
