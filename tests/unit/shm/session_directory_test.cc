#include "shm/session_directory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <utility>

#include "shm/stats.h"
#include "tests/unit/shm/memory_directory.h"

namespace holdfast::shm {
namespace {

class SessionDirectoryTest : public testing::Test {
 protected:
  MemoryDirectory memory;
  SessionDirectory directory = memory.directory();
};

using Directory = SessionDirectoryTest;

SessionOrigin some_origin() {
  SessionOrigin origin;
  for (unsigned i = 0; i < 16; ++i) origin.peer.s6_addr[i] = uint8_t(0xf0 + i);
  origin.peer_port = 0xabcd;
  origin.listener = 0x1234;
  return origin;
}

TEST(ControlWord, HasItsFieldsWhereTheHeaderSays) {
  Control c{.version = 0x89abcdef,
            .owner = 0x4567,
            .state = SessionState::closing,
            .flags = 0xa,
            .user_bytes = 0x3f};
  EXPECT_EQ(c.packed(), 0x89ab'cdef'4567'3a3fu);
  Control back = Control::unpack(c.packed());
  EXPECT_EQ(back.version, c.version);
  EXPECT_EQ(back.owner, c.owner);
  EXPECT_EQ(back.state, c.state);
  EXPECT_EQ(back.flags, c.flags);
  EXPECT_EQ(back.user_bytes, c.user_bytes);
}

TEST(ControlWord, OfAFreshPageIsFree) {
  EXPECT_EQ(Control::unpack(0).state, SessionState::free);
  EXPECT_EQ(Control{}.packed(), 0u);
}

TEST(ControlWord, NonsenseIsFreeAndHasNoUser) {
  EXPECT_EQ(Control::unpack(0xf000).state, SessionState::free);
  EXPECT_EQ(Control::unpack(0x4000).state, SessionState::free);
  EXPECT_EQ(Control::unpack(0x2040).user_bytes, 64);
  EXPECT_EQ(Control::unpack(0x2041).user_bytes, 0);
  EXPECT_EQ(Control::unpack(0x20ff).user_bytes, 0);
}

TEST_F(Directory, FindsNothingBeforeClaim) {
  Slab slab = memory.slab(1);
  for (uint32_t i = 0; i < directory.size(); ++i) {
    EXPECT_FALSE(directory.find(SessionId::make(kNode, i)));
    EXPECT_FALSE(directory.view(i));
  }
}

TEST_F(Directory, FindsTheOwnerOfConnectingAndOpenSessionsOnly) {
  Slab slab = memory.slab(2);
  SessionId id = *slab.claim({});
  EXPECT_EQ(directory.find(id), 2);
  slab.set_state(id, SessionState::open);
  EXPECT_EQ(directory.find(id), 2);
  slab.set_state(id, SessionState::closing);
  EXPECT_FALSE(directory.find(id));
  slab.release(id);
  EXPECT_FALSE(directory.find(id));
}

TEST_F(Directory, ComparesTheWholeId) {
  Slab slab = memory.slab(0);
  SessionId id = *slab.claim({});
  for (unsigned bit = 0; bit < 64; ++bit) {
    SessionId low = id, high = id;
    low.lo ^= uint64_t{1} << bit;
    high.hi ^= uint64_t{1} << bit;
    EXPECT_FALSE(directory.find(low));
    EXPECT_FALSE(directory.find(high));
  }
}

TEST_F(Directory, AReusedIndexIsNotTheFormerSession) {
  Slab slab = memory.slab(0);
  SessionId former = *slab.claim({});
  slab.release(former);
  SessionId next = *slab.claim({});
  ASSERT_EQ(next.index(), former.index());
  EXPECT_FALSE(directory.find(former));
  EXPECT_EQ(directory.find(next), 0);
}

TEST_F(Directory, IndexesPastTheEndAreNobody) {
  for (uint32_t index : {kSlots * kPerSlab, 0xffff'ffffu}) {
    EXPECT_FALSE(directory.find(SessionId::make(kNode, index)));
    EXPECT_FALSE(directory.view(index));
  }
}

TEST_F(Directory, AnOwnerThatIsNoSlotIsNobody) {
  Slab slab = memory.slab(0);
  SessionId id = *slab.claim({});
  Control c = memory.control(id);
  c.owner = kSlots;
  directory.entry(id.index()).control = c.packed();
  EXPECT_FALSE(directory.find(id));
}

TEST_F(Directory, AViewShowsAllThatWasStored) {
  Slab slab = memory.slab(1);
  SessionId id = *slab.claim(some_origin());
  slab.set_state(id, SessionState::open);
  slab.set_flags(id, kOwesClose);
  slab.set_user(id, "alice");
  slab.set_counts(id, 1, 2, 3);
  auto view = directory.view(id.index());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->id, id);
  EXPECT_EQ(view->control.owner, 1);
  EXPECT_EQ(view->control.state, SessionState::open);
  EXPECT_EQ(view->control.flags, kOwesClose);
  SessionOrigin origin = some_origin();
  EXPECT_EQ(std::memcmp(&view->origin.peer, &origin.peer, sizeof origin.peer), 0);
  EXPECT_EQ(view->origin.peer_port, 0xabcd);
  EXPECT_EQ(view->origin.listener, 0x1234);
  EXPECT_GT(view->connected_wall_s, 1'600'000'000u);
  EXPECT_EQ(view->messages_in, 1u);
  EXPECT_EQ(view->messages_out, 2u);
  EXPECT_EQ(view->unsent_bytes, 3u);
  EXPECT_EQ(view->user, "alice");
}

TEST_F(Directory, AUserHasUpTo64BytesOfAnyValue) {
  Slab slab = memory.slab(0);
  SessionId id = *slab.claim({});
  std::string all(64, '\0');
  for (size_t i = 0; i < 64; ++i) all[i] = char(i * 4);
  for (size_t bytes = 0; bytes <= 64; ++bytes) {
    slab.set_user(id, all.substr(0, bytes));
    EXPECT_EQ(memory.user(id), all.substr(0, bytes));
  }
  slab.set_user(id, "");
  EXPECT_EQ(memory.user(id), "");
}

TEST_F(Directory, ANewSessionHasNothingOfTheFormerOne) {
  Slab slab = memory.slab(0);
  SessionId former = *slab.claim(some_origin());
  slab.set_user(former, "alice");
  slab.set_flags(former, kOwesClose);
  slab.set_counts(former, 1, 2, 3);
  slab.release(former);
  SessionId next = *slab.claim({});
  ASSERT_EQ(next.index(), former.index());
  auto view = directory.view(next.index());
  EXPECT_EQ(view->user, "");
  EXPECT_EQ(view->control.flags, 0);
  EXPECT_EQ(view->messages_in + view->messages_out + view->unsent_bytes, 0u);
  EXPECT_EQ(view->origin.peer_port, 0);
}

TEST_F(Directory, EveryChangeRaisesTheVersion) {  // I1
  Slab slab = memory.slab(0);
  SessionId id = *slab.claim({});
  uint32_t before = memory.control(id).version;
  auto raised = [&] {
    return memory.control(id).version > std::exchange(before, memory.control(id).version);
  };
  slab.set_state(id, SessionState::open);
  EXPECT_TRUE(raised());
  slab.set_flags(id, kOwesClose);
  EXPECT_TRUE(raised());
  slab.set_user(id, "alice");
  EXPECT_TRUE(raised());
  slab.set_user(id, "alice");
  EXPECT_TRUE(raised());
  slab.release(id);
  EXPECT_TRUE(raised());
  slab.claim({});
  EXPECT_TRUE(raised());
}

TEST_F(Directory, ReadersStayBelowTheHighWater) {  // I6
  auto stats = std::make_unique<StatsBlock[]>(kSlots);
  for (uint32_t s = 0; s < kSlots; ++s) stats[s].slab_high_water = 0;
  SessionDirectory bounded(memory.entries.get(), kSlots, kPerSlab, stats.get());
  Slab slab(bounded, 1, kNode, stats[1].slab_high_water);
  SessionId first = *slab.claim({}), second = *slab.claim({});
  EXPECT_EQ(bounded.used(0), 0u);
  EXPECT_EQ(bounded.used(1), 2u);
  EXPECT_EQ(bounded.find(second), 1);
  stats[1].slab_high_water = 1;
  EXPECT_EQ(bounded.find(first), 1);
  EXPECT_FALSE(bounded.find(second));
  EXPECT_FALSE(bounded.view(second.index()));
  stats[1].slab_high_water = UINT32_MAX;  // nonsense does not lead past the slab
  EXPECT_EQ(bounded.used(1), kPerSlab);
}

}  // namespace
}  // namespace holdfast::shm
