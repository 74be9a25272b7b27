// The segment within one process; who may own it among several is in tests/multiproc/shm/.
#include "shm/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/fd.h"

namespace holdfast::shm {
namespace {

constexpr Capacities kSmall{.max_workers = 3,
                            .max_sessions = 8,
                            .filter_buckets = 16,
                            .mailbox_bytes = 1024,
                            .receipts = 64};

class SegmentTest : public testing::Test {
 protected:
  void TearDown() override { shm_unlink(path().c_str()); }

  Result<Segment> create(const Capacities& capacities = kSmall) const {
    return Segment::create({instance, "/run/" + instance, 7}, capacities);
  }
  std::string path() const { return "/holdfast." + instance; }
  UniqueFd open_file(int flags) const { return UniqueFd(shm_open(path().c_str(), flags, 0600)); }
  struct stat file() const {
    struct stat status {};
    UniqueFd fd = open_file(O_RDONLY);
    EXPECT_EQ(fstat(fd.get(), &status), 0);
    return status;
  }
  // The header of the file that lies there, changed by `change`.
  template <class Change>
  void patch(Change change) const {
    UniqueFd fd = open_file(O_RDWR);
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(page, MAP_FAILED);
    change(*static_cast<Header*>(page));
    munmap(page, kPage);
  }
  void expect_refused(Errc code) const {
    auto attached = Segment::attach(instance);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, code) << attached.error().text();
    EXPECT_NE(attached.error().what.find("holdfast." + instance), std::string::npos);
  }

  std::string instance = "unit-" + std::to_string(getpid()) + "-segment";
};

using Seg = SegmentTest;

TEST_F(Seg, IsAFileOnlyItsUserReads) {
  auto segment = create();
  ASSERT_TRUE(segment) << segment.error().text();
  EXPECT_EQ(file().st_mode & 0777, 0600u);
}

TEST_F(Seg, HeaderSaysWhatItWasMadeOf) {
  auto segment = create();
  ASSERT_TRUE(segment);
  const Header& header = segment->header();
  EXPECT_EQ(header.magic, kMagic);
  EXPECT_EQ(header.layout_version, kLayoutVersion);
  EXPECT_EQ(header.node_id, 7u);
  EXPECT_EQ(header.capacities, kSmall);
  EXPECT_EQ(header.master_pid, uint32_t(getpid()));
  EXPECT_EQ(header.generation, 1u);
  EXPECT_GT(header.started_wall_ms, 0u);
  EXPECT_EQ(header.total_bytes, uint64_t(file().st_size));
  EXPECT_EQ(std::string(header.instance), instance);
  EXPECT_EQ(std::string(header.runtime_dir), "/run/" + instance);
  EXPECT_EQ(std::string(header.build), HOLDFAST_VERSION);
}

TEST_F(Seg, NamesAreHashedWithAKeyOfItsOwn) {
  auto segment = create();
  ASSERT_TRUE(segment);
  HashKey key = segment->name_key();
  EXPECT_FALSE(key.none());
  EXPECT_EQ(segment->filter().hash("news"), hash_name("news", key));
  auto attached = Segment::attach(instance);
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->filter().hash("news"), hash_name("news", key));
  // A version that knew no key has left zeros there.
  patch([](Header& h) { h.name_key = {}; });
  EXPECT_EQ(segment->filter().hash("news"), hash_name("news"));
}

TEST_F(Seg, ALargeOneCostsNothingUntilItIsUsed) {
  auto segment = create({.max_workers = 64,
                         .max_sessions = 1'000'000,
                         .filter_buckets = 65'536,
                         .mailbox_bytes = 1 << 20,
                         .receipts = 1 << 24});
  ASSERT_TRUE(segment) << segment.error().text();
  EXPECT_GT(file().st_size, int64_t{8'000'000'000});
  // Header, heads, and what is counted for each of 64 slots.
  EXPECT_LE(file().st_blocks * 512, 16 * 1024 + 64 * int64_t(sizeof(StatsFields) + kPage));
  segment->directory().entry(63'999'999).address_place = 1;  // the last one is there
}

// Ids come from outside; a lookup of one must not make memory of a hole.
TEST_F(Seg, LookingForUnknownSessionsCostsNothing) {
  auto segment = create(
      {.max_workers = 64, .max_sessions = 1'000'000, .filter_buckets = 16, .mailbox_bytes = 1024});
  ASSERT_TRUE(segment) << segment.error().text();
  auto look = [&] {
    for (uint32_t index = 1; index < 64'000'000; index += 50'000) {
      EXPECT_FALSE(segment->directory().find(SessionId::make(7, index)));
      EXPECT_FALSE(segment->directory().view(index));
    }
  };
  look();  // the stats blocks are there now
  auto before = file().st_blocks;
  look();
  EXPECT_EQ(file().st_blocks, before);
  EXPECT_LE(before * 512, 512 * 1024);
}

// A bucket is a page; the head of the slot that asks is another.
TEST_F(Seg, AnIdempotencyKeyCostsAPage) {
  auto segment = create({.max_workers = 3,
                         .max_sessions = 8,
                         .filter_buckets = 16,
                         .mailbox_bytes = 1024,
                         .receipts = 1 << 24});
  ASSERT_TRUE(segment) << segment.error().text();
  segment->slot(1).pid = uint32_t(getpid());
  auto before = file().st_blocks;
  ReceiptTable::Claim claim = segment->receipts().claim({1, 77'777}, 5, 1, 1000);
  EXPECT_EQ(claim.verdict, ReceiptTable::Verdict::fresh);
  EXPECT_TRUE(segment->receipts().complete(claim, 200, "{}"));
  EXPECT_LE((file().st_blocks - before) * 512, int64_t{kPage});
}

TEST_F(Seg, WithoutReceiptsTheTableIsOff) {
  Capacities without = kSmall;
  without.receipts = 0;
  auto segment = create(without);
  ASSERT_TRUE(segment) << segment.error().text();
  EXPECT_FALSE(segment->receipts().enabled());
}

TEST_F(Seg, AFreshOneIsAllZero) {
  auto segment = create();
  ASSERT_TRUE(segment);
  for (uint32_t s = 0; s < kSmall.max_workers; ++s) {
    EXPECT_EQ(segment->slot(s).state, SlotState::free);
    EXPECT_EQ(segment->stats(s).slab_high_water, 0u);
    for (const StatInfo& info : all_stats()) EXPECT_EQ(cell_of(segment->stats(s), info).get(), 0u);
    for (uint32_t to = 0; to < kSmall.max_workers; ++to) EXPECT_TRUE(segment->ring(s, to).empty());
  }
}

TEST_F(Seg, PartsAreApart) {
  auto segment = create();
  ASSERT_TRUE(segment);
  for (uint32_t from = 0; from < 3; ++from)
    for (uint32_t to = 0; to < 3; ++to)
      while (segment->ring(from, to).push(from * 3 + to + 1, std::string(100, 'x'))) continue;
  for (uint32_t s = 0; s < 3; ++s) {
    Slab slab(segment->directory(), uint16_t(s), 7, segment->stats(s).slab_high_water);
    while (slab.claim({})) continue;
    segment->filter().raise(s, "news");
    segment->stats(s).sessions_opened.add(s + 1);
    segment->slot(s).pid = s + 1;
  }
  for (uint64_t n = 0; n < kSmall.receipts; ++n)
    EXPECT_EQ(segment->receipts().claim({n, n}, 5, 2, 1000).verdict, ReceiptTable::Verdict::fresh);
  for (uint32_t from = 0; from < 3; ++from)
    for (uint32_t to = 0; to < 3; ++to) {
      MailboxRing ring = segment->ring(from, to);
      bool broken = false;
      while (auto record = ring.front(&broken)) {
        EXPECT_EQ(record->kind, from * 3 + to + 1);
        EXPECT_EQ(record->body, std::string(100, 'x'));
        ring.pop();
      }
      EXPECT_FALSE(broken);
    }
  for (uint32_t index = 0; index < segment->directory().size(); ++index)
    EXPECT_EQ(segment->directory().view(index)->control.owner, index / kSmall.max_sessions);
  for (uint32_t s = 0; s < 3; ++s) {
    EXPECT_EQ(segment->stats(s).sessions_opened.get(), s + 1);
    EXPECT_EQ(segment->slot(s).pid, s + 1);
  }
  for (uint64_t n = 0; n < kSmall.receipts; ++n)
    EXPECT_EQ(segment->receipts().claim({n, n}, 5, 1, 1000).verdict, ReceiptTable::Verdict::busy);
  EXPECT_EQ(segment->header().capacities, kSmall);
}

TEST_F(Seg, AStatIsSummedOverAllSlots) {
  auto segment = create();
  ASSERT_TRUE(segment);
  for (uint32_t s = 0; s < 3; ++s) {
    segment->stats(s).sessions_opened.add(10 + s);
    segment->stats(s).backend_request_us.record(99);
  }
  for (const StatInfo& info : all_stats()) {
    uint64_t expected = info.name == "sessions.opened"      ? 33
                        : info.name == "backend.request_us" ? 3
                                                            : 0;
    EXPECT_EQ(sum(*segment, info), expected) << info.name;
  }
}

TEST_F(Seg, RefusesCapacitiesOutOfRange) {
  Capacities absurd = kSmall;
  absurd.max_sessions = UINT32_MAX;
  auto segment = create(absurd);
  ASSERT_FALSE(segment);
  EXPECT_EQ(segment.error().code, Errc::limit);
  expect_refused(Errc::gone);
}

TEST_F(Seg, RefusesTextsTooLongForTheHeader) {
  auto long_dir = Segment::create({instance, std::string(256, 'd'), 7}, kSmall);
  ASSERT_FALSE(long_dir);
  EXPECT_EQ(long_dir.error().code, Errc::limit);
  auto long_name = Segment::create({std::string(40, 'n'), "/run", 7}, kSmall);
  ASSERT_FALSE(long_name);
  EXPECT_EQ(long_name.error().code, Errc::limit);
}

TEST_F(Seg, ItsNameGoesWithIt) {
  {
    auto segment = create();
    ASSERT_TRUE(segment);
    Segment moved = std::move(*segment);
    EXPECT_TRUE(open_file(O_RDONLY));
  }
  EXPECT_FALSE(open_file(O_RDONLY));
}

TEST_F(Seg, UnlinkTakesTheNameAndLeavesTheMemory) {
  auto segment = create();
  ASSERT_TRUE(segment);
  segment->unlink();
  segment->unlink();
  EXPECT_FALSE(open_file(O_RDONLY));
  segment->stats(0).sessions_opened.add();
  EXPECT_TRUE(segment->master_alive());
}

TEST_F(Seg, ADisownedOneLeavesTheName) {
  {
    auto segment = create();
    ASSERT_TRUE(segment);
    segment->disown();
  }
  EXPECT_TRUE(open_file(O_RDONLY));
}

TEST_F(Seg, LeavesANameThatIsAnothersByNow) {
  {
    auto segment = create();
    ASSERT_TRUE(segment);
    shm_unlink(path().c_str());  // somebody's rm, then somebody's holdfastd
    EXPECT_TRUE(open_file(O_CREAT | O_EXCL | O_RDWR));
  }
  EXPECT_TRUE(open_file(O_RDONLY));
}

// ---- attach(). (That it runs in the creator's process costs the creator its lock, I2.)

TEST_F(Seg, AttachSeesWhatTheOwnerWrites) {
  auto segment = create();
  ASSERT_TRUE(segment);
  auto attached = Segment::attach(instance);
  ASSERT_TRUE(attached) << attached.error().text();
  EXPECT_EQ(attached->capacities(), kSmall);
  Slab slab(segment->directory(), 1, 7, segment->stats(1).slab_high_water);
  SessionId id = *slab.claim({});
  EXPECT_EQ(attached->directory().find(id), 1);
  segment->stats(2).messages_in.add(5);
  EXPECT_EQ(attached->stats(2).messages_in.get(), 5u);
}

TEST_F(Seg, AttachedMemoryIsReadOnly) {
  auto segment = create();
  ASSERT_TRUE(segment);
  auto attached = Segment::attach(instance);
  ASSERT_TRUE(attached);
  EXPECT_DEATH(attached->header().generation = 2, "");
}

TEST_F(Seg, AttachLeavesTheName) {
  auto segment = create();
  ASSERT_TRUE(segment);
  { EXPECT_TRUE(Segment::attach(instance)); }
  EXPECT_TRUE(open_file(O_RDONLY));
}

TEST_F(Seg, AttachOfNothingIsGone) {
  expect_refused(Errc::gone);
}

TEST_F(Seg, AttachRefusesAnEmptyFile) {
  ASSERT_TRUE(open_file(O_CREAT | O_RDWR));
  expect_refused(Errc::incompatible);
}

TEST_F(Seg, AttachRefusesAnUnfinishedOne) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) { h.magic = 0; });
  expect_refused(Errc::incompatible);
}

TEST_F(Seg, AttachRefusesAnotherLayoutAndNamesBoth) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) { h.layout_version = kLayoutVersion + 1; });
  auto attached = Segment::attach(instance);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, Errc::incompatible);
  std::string both = "layout " + std::to_string(kLayoutVersion + 1) + ", this binary wants " +
                     std::to_string(kLayoutVersion);
  EXPECT_NE(attached.error().what.find(both), std::string::npos) << attached.error().what;
}

TEST_F(Seg, AttachRefusesAnothersName) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) { h.instance[0] = 'X'; });
  expect_refused(Errc::incompatible);
}

TEST_F(Seg, AttachRefusesAnInstanceWithoutItsNul) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) { std::fill_n(h.instance, sizeof h.instance, 'x'); });
  expect_refused(Errc::incompatible);
}

TEST_F(Seg, AttachRefusesSenselessCapacities) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) { h.capacities.mailbox_bytes = 12345; });
  expect_refused(Errc::incompatible);
}

// Both would reach past the file, which ends the reader with SIGBUS.
TEST_F(Seg, AttachRefusesLargerCapacitiesThanTheFile) {
  auto segment = create();
  ASSERT_TRUE(segment);
  patch([](Header& h) {
    h.capacities.max_sessions = 1'000'000;
    h.total_bytes = Layout::of(h.capacities).total;
  });
  expect_refused(Errc::incompatible);
}

TEST_F(Seg, AttachRefusesATruncatedFile) {
  auto segment = create();
  ASSERT_TRUE(segment);
  for (off_t size : {off_t(file().st_size - 1), off_t{kPage}, off_t{100}, off_t{0}}) {
    ASSERT_EQ(ftruncate(open_file(O_RDWR).get(), size), 0);
    expect_refused(Errc::incompatible);
  }
}

}  // namespace
}  // namespace holdfast::shm
