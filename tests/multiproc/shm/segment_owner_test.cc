// Who owns the name of a segment when several processes want it, and what a killed one leaves.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::eventually;
using test::Shared;

constexpr Capacities kSmall{
    .max_workers = 2, .max_sessions = 8, .filter_buckets = 16, .mailbox_bytes = 1024};

class SegmentOwner : public testing::Test {
 protected:
  ~SegmentOwner() override { shm_unlink(path().c_str()); }

  std::string path() const { return "/holdfast." + instance; }
  Result<Segment> create() const { return Segment::create({instance, "/run", 1}, kSmall); }
  // Not by opening it: closing that again would drop this process's lock, see Segment I2.
  bool exists() const { return access(("/dev/shm" + path()).c_str(), F_OK) == 0; }
  void patch_layout_version(uint32_t version) const {
    UniqueFd fd(shm_open(path().c_str(), O_RDWR, 0));
    ASSERT_EQ(pwrite(fd.get(), &version, sizeof version, offsetof(Header, layout_version)),
              ssize_t(sizeof version));
  }
  // A master in another process that stays until it is killed.
  struct Master {
    explicit Master(const SegmentOwner& test) : child([&] { return test.be_master(*state); }) {}
    bool started() {
      return eventually([&] { return *state != 0; }) && *state == 1;
    }
    Shared<std::atomic<int>> state;
    Child child;
  };
  int be_master(std::atomic<int>& state) const {
    auto segment = create();
    state = segment ? 1 : 2;
    if (!segment) return 1;
    for (;;) pause();
  }

  std::string instance = test::own_instance("owner");
};

TEST_F(SegmentOwner, ASecondMasterIsToldThePidOfTheFirst) {
  Master first(*this);
  ASSERT_TRUE(first.started());
  auto second = create();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_NE(second.error().what.find("pid " + std::to_string(first.child.pid())), std::string::npos)
      << second.error().what;
  EXPECT_TRUE(Segment::attach(instance)->master_alive());  // and has lost nothing by it
}

TEST_F(SegmentOwner, AKilledMastersSegmentIsSeenAsThatAndReplaced) {
  Master first(*this);
  ASSERT_TRUE(first.started());
  auto old = Segment::attach(instance);
  ASSERT_TRUE(old) << old.error().text();
  EXPECT_TRUE(old->master_alive());
  ASSERT_TRUE(first.child.kill());
  EXPECT_FALSE(old->master_alive());
  auto second = create();
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(second->header().master_pid, uint32_t(getpid()));
  // Who still has the old one, keeps it.
  EXPECT_EQ(old->header().master_pid, uint32_t(first.child.pid()));
}

TEST_F(SegmentOwner, AnotherLayoutIsRefusedByReadersAndReplacedByAMaster) {
  Master first(*this);
  ASSERT_TRUE(first.started());
  ASSERT_TRUE(first.child.kill());
  patch_layout_version(kLayoutVersion + 1);
  auto attached = Segment::attach(instance);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, Errc::incompatible);
  Master second(*this);
  ASSERT_TRUE(second.started());
  EXPECT_TRUE(Segment::attach(instance));
}

TEST_F(SegmentOwner, AnotherLayoutOfALivingMasterIsBusyAllTheSame) {
  Master first(*this);
  ASSERT_TRUE(first.started());
  patch_layout_version(kLayoutVersion + 1);
  auto second = create();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
}

TEST_F(SegmentOwner, AForkedChildNeitherOwnsTheNameNorFreesTheLock) {
  auto segment = create();
  ASSERT_TRUE(segment);
  Child worker([&] {
    test::require(segment->master_alive(), "the parent holds the lock");
    segment->unlink();
    { Segment gone = std::move(*segment); }
    return 0;
  });
  EXPECT_EQ(worker.exit_status(), 0);
  EXPECT_TRUE(exists());
  Master other(*this);
  EXPECT_FALSE(other.started());
}

TEST_F(SegmentOwner, AWorkerSeesItsMasterDie) {
  Shared<std::atomic<int>> step;
  Child master([&] {
    auto segment = create();
    test::require(bool(segment), "created");
    if (fork() == 0) {
      segment->disown();
      if (segment->master_alive()) *step = 1;
      eventually([&] { return !segment->master_alive(); });
      *step = segment->master_alive() ? 3 : 2;
      _exit(0);
    }
    for (;;) pause();
    return 0;
  });
  ASSERT_TRUE(eventually([&] { return *step == 1; }));
  master.kill();
  EXPECT_TRUE(eventually([&] { return *step == 2; })) << *step;
}

// Masters that start at the same moment, on a left-over, on nothing, and while one is being killed.
// Each says when it believes that it owns the name; there must never be two.
TEST_F(SegmentOwner, OfManyStartedAtOnceExactlyOneGetsOn) {
  SCOPED_TRACE(test::seed_note());
  std::mt19937_64 random(test::test_seed());
  constexpr int kMasters = 4;
  struct Race {
    std::atomic<bool> go;
    std::atomic<int> owners, refused, wrong;
  };
  for (int round = 0; round < 100; ++round) {
    Shared<Race> race;
    auto run = [&] {
      while (!race->go) sched_yield();
      auto segment = create();
      if (!segment) {
        if (segment.error().code != Errc::busy) ++race->wrong;
        ++race->refused;
        return 0;
      }
      if (++race->owners > 1) ++race->wrong;
      for (;;) pause();
    };
    std::vector<std::unique_ptr<Child>> masters;
    for (int i = 0; i < kMasters; ++i) masters.push_back(std::make_unique<Child>(run));
    race->go = true;
    ASSERT_TRUE(eventually([&] { return race->owners + race->refused == kMasters; }));
    ASSERT_EQ(race->wrong, 0);
    ASSERT_EQ(race->owners, 1) << "round " << round;
    auto attached = Segment::attach(instance);
    ASSERT_TRUE(attached) << attached.error().text();
    EXPECT_TRUE(attached->master_alive());
    if (random() % 2 == 0) shm_unlink(path().c_str());  // the next round finds no left-over
  }
}

}  // namespace
}  // namespace holdfast::shm
