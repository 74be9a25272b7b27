// The writing side of the session directory: claiming, releasing, and sweeping up after a crash. A
// slab that is destroyed without releasing is here a worker that died.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "shm/session_directory.h"
#include "tests/unit/shm/memory_directory.h"

namespace holdfast::shm {
namespace {

class SlabOfSlot1 : public testing::Test {
 protected:
  static constexpr uint16_t kSlot = 1;
  static constexpr uint32_t kFirst = kSlot * kPerSlab;

  // One session of a worker that dies at once.
  SessionId left_behind(SessionState state, uint8_t flags, std::string_view user = "") {
    Slab slab = memory.slab(kSlot);
    SessionId id = *slab.claim({});
    slab.set_state(id, state);
    slab.set_flags(id, flags);
    slab.set_user(id, user);
    return id;
  }

  MemoryDirectory memory;
};

TEST_F(SlabOfSlot1, ClaimsTheLowestIndexesFirst) {
  Slab slab = memory.slab(kSlot);
  for (uint32_t i = 0; i < kPerSlab; ++i) EXPECT_EQ(slab.claim({})->index(), kFirst + i);
}

// What a new master does with what it finds of a killed instance.
TEST_F(SlabOfSlot1, SweepsAPlantedSessionAsOneOfADeadPredecessor) {
  SessionView owed;
  owed.id = SessionId::make(7, kFirst + 2);
  owed.control = {.version = 9,
                  .owner = 0,
                  .state = SessionState::closing,
                  .flags = kOwesClose,
                  .user_bytes = 3};
  owed.user = "ann";
  owed.origin.peer_port = 99;
  owed.connected_wall_s = 1234;
  memory.directory().plant(owed, memory.high_water[kSlot]);
  Slab slab = memory.slab(kSlot);
  ASSERT_EQ(slab.orphans().size(), 1u);
  const SessionView& found = slab.orphans()[0];
  EXPECT_EQ(found.id, owed.id);
  EXPECT_EQ(found.user, "ann");
  EXPECT_EQ(found.origin.peer_port, 99);
  EXPECT_EQ(found.connected_wall_s, 1234u);
  EXPECT_EQ(found.control.owner, kSlot);
  EXPECT_EQ(slab.claim({})->index(), kFirst) << "the others are free";
  slab.release(owed.id);
  EXPECT_EQ(slab.in_use(), 1u);
}

TEST_F(SlabOfSlot1, IsFullAfterItsLastEntry) {
  Slab slab = memory.slab(kSlot);
  std::vector<SessionId> ids;
  for (uint32_t i = 0; i < kPerSlab; ++i) ids.push_back(*slab.claim({}));
  EXPECT_FALSE(slab.claim({}));
  EXPECT_EQ(slab.in_use(), kPerSlab);
  slab.release(ids[3]);
  EXPECT_EQ(slab.in_use(), kPerSlab - 1);
  EXPECT_EQ(slab.claim({})->index(), ids[3].index());
  EXPECT_FALSE(slab.claim({}));
}

TEST_F(SlabOfSlot1, ClaimsTheLastReleasedFirst) {
  Slab slab = memory.slab(kSlot);
  std::vector<SessionId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(*slab.claim({}));
  slab.release(ids[0]);
  slab.release(ids[2]);
  slab.release(ids[1]);
  for (int expected : {1, 2, 0}) EXPECT_EQ(slab.claim({})->index(), ids[size_t(expected)].index());
  EXPECT_EQ(slab.claim({})->index(), kFirst + 4);
}

TEST_F(SlabOfSlot1, RaisesTheHighWaterOnlyForEntriesNeverUsed) {
  Slab slab = memory.slab(kSlot);
  EXPECT_EQ(memory.high_water[kSlot], 0u);
  for (int i = 0; i < 100; ++i) slab.release(*slab.claim({}));
  EXPECT_EQ(memory.high_water[kSlot], 1u);
  slab.claim({});
  slab.claim({});
  EXPECT_EQ(memory.high_water[kSlot], 2u);
}

TEST_F(SlabOfSlot1, TouchesNoOthersEntries) {
  Slab slab = memory.slab(kSlot);
  while (slab.claim({})) continue;
  for (uint32_t i = 0; i < kSlots * kPerSlab; ++i)
    EXPECT_EQ(memory.entries[i].control != 0, i / kPerSlab == kSlot);
}

TEST_F(SlabOfSlot1, FreesWhatOwesNothing) {
  SessionId connecting = left_behind(SessionState::connecting, 0);
  Slab next = memory.slab(kSlot);
  EXPECT_TRUE(next.orphans().empty());
  EXPECT_EQ(next.in_use(), 0u);
  EXPECT_FALSE(memory.directory().find(connecting));
  EXPECT_EQ(next.claim({})->index(), connecting.index());
}

TEST_F(SlabOfSlot1, KeepsWhatOwesACloseEvent) {
  SessionId open = left_behind(SessionState::open, kOwesClose, "alice");
  EXPECT_EQ(memory.directory().find(open), kSlot);  // still, until the successor has swept
  Slab next = memory.slab(kSlot);
  EXPECT_EQ(next.in_use(), 1u);
  ASSERT_EQ(next.orphans().size(), 1u);
  const SessionView& orphan = next.orphans()[0];
  EXPECT_EQ(orphan.id, open);
  EXPECT_EQ(orphan.user, "alice");
  EXPECT_EQ(orphan.control.state, SessionState::closing);
  EXPECT_EQ(orphan.control.flags, kOwesClose | kCrashed);
  EXPECT_EQ(orphan.control.owner, kSlot);
  EXPECT_FALSE(memory.directory().find(open));
  EXPECT_NE(next.claim({})->index(), open.index());
}

TEST_F(SlabOfSlot1, KeepsAClosingSessionThatOwesACloseEvent) {
  left_behind(SessionState::closing, kOwesClose);
  Slab next = memory.slab(kSlot);
  EXPECT_EQ(next.orphans().size(), 1u);
}

TEST_F(SlabOfSlot1, AnOrphanOutlivesASecondCrash) {
  SessionId open = left_behind(SessionState::open, kOwesClose, "alice");
  { Slab second = memory.slab(kSlot); }
  Slab third = memory.slab(kSlot);
  ASSERT_EQ(third.orphans().size(), 1u);
  EXPECT_EQ(third.orphans()[0].id, open);
  EXPECT_EQ(third.orphans()[0].user, "alice");
  third.release(open);
  Slab fourth = memory.slab(kSlot);
  EXPECT_TRUE(fourth.orphans().empty());
}

TEST_F(SlabOfSlot1, SweepingRaisesTheVersionOfWhatItChanges) {
  SessionId open = left_behind(SessionState::open, kOwesClose);
  uint32_t before = memory.control(open).version;
  Slab next = memory.slab(kSlot);
  EXPECT_GT(memory.control(open).version, before);
}

TEST_F(SlabOfSlot1, SweepLeavesOtherSlotsAlone) {
  Slab other = memory.slab(2);
  SessionId theirs = *other.claim({});
  left_behind(SessionState::open, kOwesClose);
  Slab next = memory.slab(kSlot);
  EXPECT_EQ(memory.directory().find(theirs), 2);
}

TEST_F(SlabOfSlot1, ClaimsTheLowestOfWhatTheSweepFreed) {
  {
    Slab dead = memory.slab(kSlot);
    for (int i = 0; i < 5; ++i) {
      SessionId id = *dead.claim({});
      if (i == 1) dead.set_flags(id, kOwesClose);
    }
  }
  Slab next = memory.slab(kSlot);
  for (uint32_t expected : {0u, 2u, 3u, 4u, 5u})
    EXPECT_EQ(next.claim({})->index(), kFirst + expected);
}

TEST_F(SlabOfSlot1, AHighWaterOfNonsenseStaysInTheSlab) {
  memory.high_water[kSlot] = UINT32_MAX;
  Slab slab = memory.slab(kSlot);
  for (uint32_t i = 0; i < kPerSlab; ++i) EXPECT_EQ(slab.claim({})->index(), kFirst + i);
  EXPECT_FALSE(slab.claim({}));
}

// A writer killed between raising the high water and publishing the entry.
TEST_F(SlabOfSlot1, AnEntryRaisedButNotPublishedIsFree) {
  memory.high_water[kSlot] = 1;
  memory.entries[kFirst].id_hi = 0x1234;
  Slab slab = memory.slab(kSlot);
  EXPECT_EQ(slab.claim({})->index(), kFirst);
}

using SlabDeath = SlabOfSlot1;

TEST_F(SlabDeath, ReleasingTwiceIsABug) {
  Slab slab = memory.slab(kSlot);
  SessionId id = *slab.claim({});
  slab.release(id);
  EXPECT_DEATH(slab.release(id), "check failed");
}

TEST_F(SlabDeath, ChangingAnothersSessionIsABug) {
  Slab slab = memory.slab(kSlot), other = memory.slab(0);
  SessionId id = *slab.claim({});
  EXPECT_DEATH(other.set_user(id, "mallory"), "check failed");
  EXPECT_DEATH(slab.set_user(SessionId::make(kNode, 1'000'000), ""), "check failed");
}

}  // namespace
}  // namespace holdfast::shm
