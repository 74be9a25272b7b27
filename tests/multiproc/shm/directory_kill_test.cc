// A worker changes its slab as fast as it can and is killed at a random instant, while this process
// reads. The worker keeps a diary in shared memory, so afterwards this process knows for each entry
// what it must say; for the one entry that was being changed there are a few possibilities.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"
#include "tests/multiproc/shm/stepped.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::require;
using test::Shared;

constexpr uint32_t kPerSlab = 16;  // few, so that entries are used again and again
constexpr uint16_t kSlot = 1, kNode = 9;
constexpr uint32_t kFirst = kSlot * kPerSlab;
constexpr int kRounds = 400;

using Random = std::mt19937_64;

// What a session is known to be. Its user is one of 26 texts, by letter; 0: none.
struct Known {
  bool live = false;
  SessionId id;
  SessionState state = SessionState::free;
  uint8_t flags = 0;
  char letter = 0;
};

std::string text_of(char letter) {
  if (letter == 0) return "";
  return std::string(size_t(1 + (letter - 'a') * 63 / 25), letter);
}

// All of it follows from one byte, so that a mixture of two shows.
SessionOrigin origin_of(uint8_t x) {
  SessionOrigin origin;
  std::fill_n(origin.peer.s6_addr, 16, x);
  origin.peer_port = uint16_t(x * 257);
  origin.listener = x;
  return origin;
}

bool fits_together(const SessionView& view, uint32_t index) {
  SessionOrigin origin = origin_of(uint8_t(view.origin.listener));
  bool user_whole = view.user.empty() || view.user == text_of(view.user[0]);
  return view.id.index() == index && view.id.node() == kNode && view.control.owner == kSlot &&
         std::memcmp(&view.origin.peer, &origin.peer, 16) == 0 &&
         view.origin.peer_port == origin.peer_port && user_whole;
}

bool is(const std::optional<SessionView>& view, const Known& known) {
  if (!known.live) return !view;
  return view && view->id == known.id && view->control.state == known.state &&
         view->control.flags == known.flags && view->user == text_of(known.letter);
}

// What the successor's sweep makes of it.
Known swept(Known k) {
  if (!k.live || (k.flags & kOwesClose) == 0) return {};
  k.state = SessionState::closing;
  k.flags |= kCrashed;
  return k;
}

enum class Doing : int { nothing, sweeping, claiming, changing };

// Writer: the worker. Read after its death; the fences keep its compiler from moving stores.
struct Diary {
  std::atomic<Doing> doing;
  std::atomic<uint32_t> index;  // changing
  std::atomic<bool> sets_user;  // changing
  std::atomic<uint64_t> steps;
  Known before, after;  // changing
  Known known[kPerSlab];

  void begin(Doing what) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    doing.store(what);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void end() {
    begin(Doing::nothing);
    steps.fetch_add(1);
  }
};

class Worker {
 public:
  // The sweep is itself one of the things to be killed in.
  Worker(Slab& slab, Diary& diary, Random& random) : slab_(slab), diary_(diary), random_(random) {}

  [[noreturn]] void run() {
    for (;;) {
      Known& known = diary_.known[random_() % kPerSlab];
      if (known.live)
        change(known);
      else
        claim();
    }
  }

 private:
  void claim() {
    diary_.begin(Doing::claiming);
    std::optional<SessionId> id = slab_.claim(origin_of(uint8_t(random_())));
    if (id) {
      Known& known = diary_.known[id->index() - kFirst];
      require(!known.live, "a claimed entry was free");
      known = {true, *id, SessionState::connecting, 0, 0};
    }
    diary_.end();
  }

  void change(Known& known) {
    Known next = known;
    unsigned what = unsigned(random_() % 6);
    if (what == 0) next = {};
    if (what == 1) next.state = SessionState::open;
    if (what == 2) next.state = SessionState::closing;
    if (what == 3) next.flags = random_() % 2 ? kOwesClose : 0;
    if (what == 4) next.letter = random_() % 8 == 0 ? char(0) : char('a' + random_() % 26);
    diary_.before = known;
    diary_.after = next;
    diary_.index = uint32_t(&known - diary_.known);
    diary_.sets_user = what == 4;
    diary_.begin(Doing::changing);
    apply(known.id, what, next);
    known = next;
    diary_.end();
  }

  void apply(const SessionId& id, unsigned what, const Known& next) {
    if (what == 0) return slab_.release(id);
    if (what == 1 || what == 2) return slab_.set_state(id, next.state);
    if (what == 3) return slab_.set_flags(id, next.flags);
    if (what == 4) return slab_.set_user(id, text_of(next.letter));
    slab_.set_counts(id, uint32_t(random_()), uint32_t(random_()), uint32_t(random_()));
  }

  Slab& slab_;
  Diary& diary_;
  Random& random_;
};

class DirectoryKill : public testing::Test {
 protected:
  DirectoryKill() {
    auto made = Segment::create(
        {test::own_instance("directory"), "/run", kNode},
        {.max_workers = 3, .max_sessions = kPerSlab, .filter_buckets = 16, .mailbox_bytes = 1024});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
  }

  SessionDirectory directory() const { return segment->directory(); }
  Slab slab() const { return {directory(), kSlot, kNode, segment->stats(kSlot).slab_high_water}; }
  std::optional<SessionView> view(uint32_t i) const { return directory().view(kFirst + i); }

  [[noreturn]] void be_worker() {
    diary->begin(Doing::sweeping);
    Slab own = slab();
    size_t orphans = 0;
    for (Known& k : diary->known) {
      k = swept(k);
      orphans += k.live;
    }
    require(own.orphans().size() == orphans, "the sweep lists every session that owes");
    diary->end();
    Worker(own, *diary, random).run();
  }

  void read_all() const {
    for (uint32_t i = 0; i < kPerSlab; ++i) {
      std::optional<SessionView> seen = view(i);
      if (!seen) continue;
      ASSERT_TRUE(fits_together(*seen, kFirst + i)) << seen->user;  // I1, I4
      std::optional<uint16_t> owner = directory().find(seen->id);
      ASSERT_TRUE(!owner || *owner == kSlot);  // I3
    }
  }

  // After a death in the sweep: each entry is as before it or as after it.
  void check_swept_partly(const Known (&before)[kPerSlab]) {
    for (uint32_t i = 0; i < kPerSlab; ++i) {
      bool done = is(view(i), swept(before[i]));
      ASSERT_TRUE(done || is(view(i), before[i]));
      diary->known[i] = done ? swept(before[i]) : before[i];
    }
  }

  // After a death in claim(): one entry may be claimed, and not be in the diary or half.
  void check_claimed() {
    int claimed = 0;
    for (uint32_t i = 0; i < kPerSlab; ++i) {
      std::optional<SessionView> seen = view(i);
      if (is(seen, diary->known[i])) continue;
      ASSERT_TRUE(seen);
      ASSERT_EQ(++claimed, 1);
      Known fresh{true, seen->id, SessionState::connecting, 0, 0};
      ASSERT_TRUE(is(seen, fresh));
      diary->known[i] = fresh;
    }
  }

  void check_changed() {
    uint32_t changed = diary->index;
    Known before = diary->before, after = diary->after, between = before;
    between.letter = 0;
    for (uint32_t i = 0; i < kPerSlab; ++i) {
      std::optional<SessionView> seen = view(i);
      if (i != changed) {
        ASSERT_TRUE(is(seen, diary->known[i]));
        continue;
      }
      bool no_user = diary->sets_user && is(seen, between);  // I4
      ASSERT_TRUE(is(seen, before) || is(seen, after) || no_user);
      diary->known[i] = is(seen, after) ? after : is(seen, before) ? before : between;
    }
  }

  // Makes the diary say what the directory says, after having checked that it may say so.
  void check_after_death(const Known (&before)[kPerSlab]) {
    ASSERT_NO_FATAL_FAILURE(read_all());
    switch (diary->doing.load()) {
      case Doing::sweeping:
        return check_swept_partly(before);
      case Doing::claiming:
        return check_claimed();
      case Doing::changing:
        return check_changed();
      case Doing::nothing:
        break;
    }
    for (uint32_t i = 0; i < kPerSlab; ++i) ASSERT_TRUE(is(view(i), diary->known[i]));
  }

  // This process as the successor: the sweep finds exactly what the diary says, and after it every
  // other entry can be claimed, once.
  void sweep_exactly() {
    std::set<uint32_t> owing;
    for (uint32_t i = 0; i < kPerSlab; ++i) {
      const Known& k = diary->known[i];
      if (swept(k).live) owing.insert(i);
    }
    Slab own = slab();
    ASSERT_EQ(own.orphans().size(), owing.size());
    EXPECT_EQ(own.in_use(), owing.size());
    for (const SessionView& orphan : own.orphans()) {
      uint32_t i = orphan.id.index() - kFirst;
      ASSERT_EQ(owing.erase(i), 1u);
      EXPECT_TRUE(is(orphan, swept(diary->known[i])));
      EXPECT_FALSE(directory().find(orphan.id));
    }
    claim_the_rest(own);
    for (const SessionView& orphan : own.orphans()) own.release(orphan.id);
    EXPECT_EQ(own.in_use(), 0u);
    for (Known& k : diary->known) k = {};
  }

  void claim_the_rest(Slab& own) {
    std::vector<SessionId> claimed;
    while (std::optional<SessionId> id = own.claim({})) claimed.push_back(*id);
    EXPECT_EQ(claimed.size(), kPerSlab - own.orphans().size());
    for (size_t i = 1; i < claimed.size(); ++i)
      EXPECT_LT(claimed[i - 1].index(), claimed[i].index());
    for (const SessionId& id : claimed) {
      EXPECT_EQ(directory().find(id), kSlot);
      own.release(id);
    }
  }

  std::unique_ptr<Segment> segment;
  Shared<Diary> diary;
  Random random{test::test_seed()};
};

TEST_F(DirectoryKill, EveryViewFitsAndTheSweepIsExact) {
  SCOPED_TRACE(test::seed_note());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Known before[kPerSlab];
    std::copy_n(diary->known, kPerSlab, before);
    diary->doing = Doing::nothing;
    uint64_t steps = diary->steps;
    random.discard(1000);  // the worker's copy goes on from here, too
    Child worker([&]() -> int { be_worker(); });
    // Some die in the first steps, the sweep among them.
    uint64_t wait_for = random() % 4 == 0 ? 0 : 1;
    ASSERT_TRUE(test::soon([&] {
      return diary->steps >= steps + wait_for && (wait_for || diary->doing != Doing::nothing);
    }));
    test::until_random_instant(random, wait_for ? 4000 : 5, [&] { read_all(); });
    ASSERT_TRUE(worker.kill()) << "it ended by itself";
    ASSERT_NO_FATAL_FAILURE(check_after_death(before));
    if (random() % 2 == 0) {
      ASSERT_NO_FATAL_FAILURE(sweep_exactly());
    }
  }
}

// The same, with the instant chosen instruction by instruction.
TEST_F(DirectoryKill, HoldsForDeathsInTheMiddleOfEachKindOfWork) {
  if (!test::may_step()) GTEST_SKIP() << "ptrace(2) is not allowed here";
  SCOPED_TRACE(test::seed_note());
  for (int round = 0; round < 36; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Doing kinds[] = {Doing::sweeping, Doing::claiming, Doing::changing};
    Doing kind = kinds[round % 3];
    Known before[kPerSlab];
    std::copy_n(diary->known, kPerSlab, before);
    diary->doing = Doing::nothing;
    random.discard(1000);
    test::Stepped worker([&] { be_worker(); });
    do {
      while (diary->doing != kind) worker.step(1);
      for (uint64_t more = random() % 300; more > 0 && diary->doing == kind; --more) worker.step(1);
    } while (diary->doing != kind);
    worker.kill();
    ASSERT_NO_FATAL_FAILURE(check_after_death(before));
    if (random() % 4 == 0) {
      ASSERT_NO_FATAL_FAILURE(sweep_exactly());
    }
  }
}

}  // namespace
}  // namespace holdfast::shm
