// A slot passes from one worker_main() to another, each in a process of its own; the test plays the master and
// the clients. Either side dies at every point of the protocol: afterwards exactly one process serves the slot.

#include "tests/unit/handover/slot_fixture.h"

namespace holdfast {
namespace {

TEST_F(SlotHandover, ClientsGoOnInTheSuccessor) {
  Process old = start(false);
  std::vector<Peer> peers = open(60);
  expect_served(peers);
  uint64_t opened = instance_.segment.stats(0).sessions_opened.get();
  Process fresh = start(true);
  introduce(old, fresh);
  ASSERT_TRUE(fresh.says(control_word::kTaken));
  EXPECT_EQ(old.forked->exit_status(), 0);
  EXPECT_EQ(server_pid(), uint32_t(fresh.forked->pid()));
  expect_served(peers);
  shm::StatsBlock& stats = instance_.segment.stats(0);
  EXPECT_EQ(stats.sessions_online.get(), 60u);
  EXPECT_EQ(stats.connections_open.get(), 60u);
  EXPECT_EQ(stats.memberships.get(), 60u);
  EXPECT_EQ(stats.sessions_opened.get(), opened);
  EXPECT_EQ(stats.sessions_crashed.get(), 0u);
  std::vector<Peer> more = open(2);  // there was room for 64
  expect_served(more);
  fresh.tell(control_word::kTerm);
  EXPECT_EQ(fresh.forked->exit_status(), 0);
  EXPECT_EQ(stats.sessions_online.get(), 0u);
  EXPECT_EQ(stats.connections_open.get(), 0u);
  EXPECT_EQ(stats.memberships.get(), 0u);
  EXPECT_EQ(stats.bytes_unsent.get(), 0u);
  EXPECT_FALSE(instance_.segment.filter().maybe_member(0, "everybody"));
}

// What is longer than a frame travels in pieces.
TEST_F(SlotHandover, RecordsLongerThanAPieceArriveWhole) {
  setenv("HF_HANDOVER_PIECE", "16", 1);
  Process first = start(false);
  unsetenv("HF_HANDOVER_PIECE");
  auto peers = open(5);
  expect_served(peers);
  Process second = start(true);
  introduce(first, second);
  EXPECT_TRUE(second.says(control_word::kTaken));
  expect_served(peers);
}

// What has no length any more does not travel: nobody dies of it, and nobody loses anything.
TEST_F(SlotHandover, ARecordThatIsTooLongLeavesTheSlotWhereItIs) {
  setenv("HF_HANDOVER_RECORD", "16", 1);
  Process first = start(false);
  unsetenv("HF_HANDOVER_RECORD");
  auto peers = open(5);
  expect_served(peers);
  Process second = start(true);
  introduce(first, second);
  EXPECT_TRUE(first.says(control_word::kKept));
  expect_served(peers);
}

TEST_F(SlotHandover, HappensAgainAndAgain) {
  Process serving = start(false);
  std::vector<Peer> peers = open(30);
  for (int i = 0; i < 20; ++i) {
    Process next = start(true);
    introduce(serving, next);
    ASSERT_TRUE(next.says(control_word::kTaken));
    ASSERT_EQ(serving.forked->exit_status(), 0);
    serving = std::move(next);
    expect_served(peers);
  }
  serving.tell(control_word::kTerm);
  EXPECT_EQ(serving.forked->exit_status(), 0);
}

// Records of another worker arrive at whoever serves the slot, in their order.
TEST_F(SlotHandover, RecordsOfOtherWorkersAreCarriedOutOnceAndInOrder) {
  Process serving = start(false);
  std::vector<Peer> peers = open(1);
  test::Room other(instance_, 1);
  std::string expected;
  auto publish = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      std::string text = fmt::format("{:04}", i);
      Command command;
      command.op = Op::publish;
      command.channels = {"everybody"};
      command.data = text;
      other.router.execute(command, {});
      expected += std::string("\x81\4", 2) + text;
      if (i % 7 == 0) other.turn();
    }
    other.turn();
  };
  for (int round = 0; round < 10; ++round) {
    Process next = start(true);
    publish(round * 100, round * 100 + 50);
    introduce(serving, next);
    publish(round * 100 + 50, round * 100 + 100);
    ASSERT_TRUE(next.says(control_word::kTaken));
    ASSERT_EQ(serving.forked->exit_status(), 0);
    serving = std::move(next);
  }
  EXPECT_TRUE(eventually([&] {
    other.turn();
    return behind_101(peers[0]).size() >= expected.size();
  }));
  EXPECT_EQ(behind_101(peers[0]), expected);
  serving.tell(control_word::kTerm);
  EXPECT_EQ(serving.forked->exit_status(), 0);
}

// A published message is one buffer in the queues of all who do not read, before and after.
TEST_F(SlotHandover, MessagesThatWaitForManyArriveWholeInEachOfThem) {
  Process old = start(false);
  std::vector<Peer> peers = open(20);
  test::Room other(instance_, 1);
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    std::string text = fmt::format("{:04}", i) + std::string(20'000, char('a' + i % 26));
    Command command;
    command.op = Op::publish;
    command.channels = {"everybody"};
    command.data = text;
    other.router.execute(command, {});
    char head[] = {char(0x82 - 1), 126, char(text.size() >> 8), char(text.size() & 0xff)};
    expected += std::string(head, 4) + text;
    ASSERT_TRUE(eventually([&] {
      other.turn();
      return instance_.segment.stats(0).messages_out.get() >= uint64_t(i + 1) * 20;
    }));
  }
  shm::StatsBlock& stats = instance_.segment.stats(0);
  ASSERT_GT(stats.bytes_unsent.get(), 20 * 400'000u);
  Process fresh = start(true);
  introduce(old, fresh);
  ASSERT_TRUE(fresh.says(control_word::kTaken));
  EXPECT_EQ(old.forked->exit_status(), 0);
  for (Peer& peer : peers) {
    ASSERT_TRUE(eventually([&] { return behind_101(peer).size() >= expected.size(); }));
    EXPECT_TRUE(behind_101(peer) == expected);
  }
  EXPECT_TRUE(eventually([&] { return stats.bytes_unsent.get() == 0; }));
  expect_served(peers);
  fresh.tell(control_word::kTerm);
  EXPECT_EQ(fresh.forked->exit_status(), 0);
}

TEST_F(SlotHandover, SessionsOfARemovedListenerKeepIt) {
  Process old = start(false);
  std::vector<Peer> peers = open(3);
  conf::Config without = config_;
  without.listens[0].address = *conf::parse_address("unix:/elsewhere");
  for (uint32_t generation = 2; generation < 4; ++generation) {
    Process fresh = start(true, &without, generation);
    introduce(old, fresh);
    ASSERT_TRUE(fresh.says(control_word::kTaken));
    EXPECT_EQ(instance_.segment.slot(0).generation.load(), generation);
    old = std::move(fresh);
    expect_served(peers);
  }
  old.tell(control_word::kTerm);
  EXPECT_EQ(old.forked->exit_status(), 0);
}

TEST_F(SlotHandover, StandbyThatIsNotNeededEndsAndChangesNothing) {
  Process old = start(false);
  std::vector<Peer> peers = open(2);
  Process fresh = start(true);
  fresh.tell(control_word::kTerm);
  EXPECT_EQ(fresh.forked->exit_status(), 1);
  Process orphan = start(true);
  orphan.control.reset();
  EXPECT_EQ(orphan.forked->exit_status(), 1);
  expect_served(peers);
  old.tell(control_word::kTerm);
  EXPECT_EQ(old.forked->exit_status(), 0);
}

class SuccessorFails : public SlotHandover, public ::testing::WithParamInterface<const char*> {};

TEST_P(SuccessorFails, ThePredecessorGoesOnAndTheNextTakesOver) {
  for (const char* action : {"kill", "exit", "segv"}) {
    SCOPED_TRACE(action);
    Process old = start(false);
    std::vector<Peer> peers = open(10);
    Process fresh = start(true);
    order_fault(GetParam(), action);
    introduce(old, fresh);
    ASSERT_TRUE(old.says(control_word::kKept));
    EXPECT_TRUE(fault_happened());
    EXPECT_NE(fresh.forked->exit_status(), 0);
    EXPECT_EQ(server_pid(), uint32_t(old.forked->pid()));
    expect_served(peers);
    Process second = start(true);
    introduce(old, second);
    ASSERT_TRUE(second.says(control_word::kTaken));
    EXPECT_EQ(old.forked->exit_status(), 0);
    expect_served(peers);
    second.tell(control_word::kTerm);
    EXPECT_EQ(second.forked->exit_status(), 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Points, SuccessorFails,
                         ::testing::Values("takeover.begin", "takeover.parcel",
                                           "takeover.before_ready"));

class PredecessorFails : public SlotHandover, public ::testing::WithParamInterface<const char*> {};

TEST_P(PredecessorFails, TheSuccessorHasNoSlotAndEnds) {
  Process old = start(false);
  auto pid = uint32_t(old.forked->pid());
  std::vector<Peer> peers = open(10);
  Process fresh = start(true);
  order_fault(GetParam());
  introduce(old, fresh);
  EXPECT_EQ(fresh.forked->exit_status(), 1);
  EXPECT_EQ(old.forked->exit_status(), -1) << "killed";
  EXPECT_TRUE(fault_happened());
  EXPECT_EQ(server_pid(), pid) << "the master sees a crash of who served the slot";
  for (Peer& peer : peers) EXPECT_TRUE(eventually([&] { return peer.at_end(); }));
  Process next = start(false);  // as after any crash
  std::vector<Peer> newcomers = open(10);
  expect_served(newcomers);
  EXPECT_EQ(instance_.segment.stats(0).sessions_crashed.get(), 10u);
  next.tell(control_word::kTerm);
  EXPECT_EQ(next.forked->exit_status(), 0);
}
INSTANTIATE_TEST_SUITE_P(Points, PredecessorFails,
                         ::testing::Values("handover.begin", "handover.session_sent",
                                           "handover.all_sent", "handover.before_commit"));

TEST_F(SlotHandover, PredecessorThatDiesBehindTheCommitCostsNothing) {
  Process old = start(false);
  std::vector<Peer> peers = open(10);
  Process fresh = start(true);
  order_fault("handover.after_commit");
  introduce(old, fresh);
  ASSERT_TRUE(fresh.says(control_word::kTaken));
  EXPECT_EQ(old.forked->exit_status(), -1) << "killed";
  EXPECT_EQ(server_pid(), uint32_t(fresh.forked->pid()));
  expect_served(peers);
  fresh.tell(control_word::kTerm);
  EXPECT_EQ(fresh.forked->exit_status(), 0);
}

}  // namespace
}  // namespace holdfast
