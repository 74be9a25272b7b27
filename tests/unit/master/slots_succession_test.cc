// A slot goes from its process to a successor: the rows of the table in master/slots.h, and that
// after whatever failure one process serves the slot.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/unit/master/slots_rig.h"
#include "worker/life/control_words.h"

namespace holdfast::test {
namespace {

using master::Phase;
using master::Slots;

// A slot that serves, with a successor that is ready.
class SlotSuccession : public testing::Test {
 protected:
  SlotSuccession() {
    rig.serve(0, first);
    before = rig.server(0);
  }
  void stand_by(bool accepts = true) {
    rig.stand_by(0, {&second, 0, accepts});
    successor = rig[0].successor->process->pid();
  }
  void hand_over() { ASSERT_TRUE(rig.slots().hand_over(0)); }
  uint32_t restarts() { return rig.head(0).restarts.load(); }

  SlotsRig rig;
  const master::Generation& first = rig.new_generation();
  const master::Generation& second = rig.new_generation();
  pid_t before = 0, successor = 0;
};

TEST_F(SlotSuccession, GivesTheSlotToTheSuccessorAndTheFormerProcessLeaves) {
  stand_by();
  hand_over();
  ASSERT_TRUE(rig.heard("taken 0"));
  EXPECT_EQ(rig.server(0), successor);
  EXPECT_EQ(rig[0].process->pid(), successor);
  EXPECT_EQ(rig[0].generation, &second);
  EXPECT_EQ(rig[0].phase, Phase::serving);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.head(0).generation.load(), second.number);
  EXPECT_EQ(restarts(), 0u);
  EXPECT_FALSE(rig.has_heard("crashed 0") || rig.has_heard("empty 0"));
}

TEST_F(SlotSuccession, ChangesNoWordOfTheSlotWhileTheSuccessorStandsBy) {
  auto& head = rig.head(0);
  uint64_t started = head.started_wall_ms.load();
  stand_by();
  EXPECT_EQ(pid_t(head.pid.load()), before);
  EXPECT_EQ(head.generation.load(), first.number);
  EXPECT_EQ(head.started_wall_ms.load(), started);
  EXPECT_EQ(head.state.load(), shm::SlotState::serving);
  EXPECT_EQ(rig[0].generation, &first);
}

TEST_F(SlotSuccession, LeavesGaugesAloneWhenTheFormerProcessLeaves) {
  stand_by();
  rig.stats(0).sessions_online.add(7);
  hand_over();
  ASSERT_TRUE(rig.heard("taken 0"));
  ASSERT_TRUE(rig.one_process_serves_each({0}));  // it has been reaped
  EXPECT_EQ(rig.stats(0).sessions_online.get(), 7u);
}

TEST_F(SlotSuccession, ForgetsADismissedSuccessor) {
  stand_by();
  rig.slots().dismiss(0);
  EXPECT_FALSE(rig[0].successor);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.server(0), before);
  EXPECT_FALSE(rig.has_heard("died 0"));
}

TEST_F(SlotSuccession, TellsWhenOneThatStandsByDies) {
  stand_by();
  kill(successor, SIGKILL);
  ASSERT_TRUE(rig.heard("died 0"));
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.server(0), before);
}

TEST_F(SlotSuccession, TellsWhenOneDiesBeforeItIsReady) {
  rig.put_file("fail");
  ASSERT_TRUE(rig.slots().stand_by(0, {&second, 0, true}));
  ASSERT_TRUE(rig.heard("died 0"));
  EXPECT_FALSE(rig.has_heard("standing 0"));
}

TEST_F(SlotSuccession, EndsTheSuccessorWhenTheProcessKeepsTheSlot) {
  rig.put_file("refuse-0");
  stand_by();
  hand_over();
  ASSERT_TRUE(rig.heard("kept 0"));
  EXPECT_FALSE(rig[0].successor || rig[0].asked);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.server(0), before);
  rig.remove_file("refuse-0");
  stand_by();
  hand_over();
  EXPECT_TRUE(rig.heard("taken 0"));  // it was no lasting harm
}

// Whoever dies how and where: the slot is served by the process that the step says, and by it alone.
struct Death {
  const char* point;
  const char* served_by;  // the former process, the successor, or a new one
};

class SlotSuccessionDeath : public SlotSuccession,
                            public testing::WithParamInterface<std::tuple<Death, const char*>> {};

TEST_P(SlotSuccessionDeath, LeavesOneProcessServing) {
  auto [death, action] = GetParam();
  stand_by();
  rig.order_fault(std::string(death.point) + " " + action);
  hand_over();
  ASSERT_TRUE(rig.fault_happened());
  std::string expected = death.served_by;
  if (expected == "former") {
    EXPECT_TRUE(rig.heard("kept 0"));
  } else if (expected == "successor") {
    EXPECT_TRUE(rig.heard("taken 0"));
  } else {
    EXPECT_TRUE(rig.heard("crashed 0"));
  }
  ASSERT_TRUE(rig.until([&] { return rig[0].phase == Phase::serving && !rig[0].asked; }));
  ASSERT_TRUE(rig.until([&] {
    if (rig[0].successor) rig.slots().dismiss(0);
    return rig.head(0).state.load() == shm::SlotState::serving;
  }));
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  pid_t now = rig.server(0);
  EXPECT_EQ(now == before, expected == "former");
  EXPECT_EQ(now == successor, expected == "successor");
  EXPECT_EQ(restarts(), expected == "new" ? 1u : 0u);
}

INSTANTIATE_TEST_SUITE_P(
    AtEveryStep, SlotSuccessionDeath,
    testing::Combine(testing::Values(Death{"fake.asked", "new"}, Death{"fake.sent", "new"},
                                     Death{"fake.before_commit", "new"},
                                     Death{"fake.after_commit", "successor"},
                                     Death{"fake.told", "former"}, Death{"fake.received", "former"},
                                     Death{"fake.answered", "new"}, Death{"fake.taken", "new"}),
                     testing::Values("kill", "exit", "segv")),
    [](const auto& param) {
      std::string name = std::string(std::get<0>(param.param).point).substr(5) + "_";
      return name + std::get<1>(param.param);
    });

// Its own patience ends it, the successor is killed.
TEST_F(SlotSuccession, KeepsTheSlotFromASuccessorThatStandsStill) {
  for (const char* point : {"fake.told", "fake.received"}) {
    rig.forget();
    stand_by();
    rig.order_fault(std::string(point) + " stop");
    hand_over();
    EXPECT_TRUE(rig.heard("kept 0")) << point;
    EXPECT_TRUE(rig.one_process_serves_each({0})) << point;
    EXPECT_EQ(rig.server(0), before) << point;
  }
}

TEST_F(SlotSuccession, SeesTheCommitWithoutAWordWhenTheFormerProcessIsReaped) {
  stand_by();
  rig.order_fault("fake.taken stop");
  hand_over();
  ASSERT_TRUE(rig.heard("taken 0"));
  EXPECT_EQ(rig[0].process->pid(), successor);
  ASSERT_TRUE(continue_when_stopped(successor));
  EXPECT_TRUE(rig.until([&] { return rig.head(0).generation.load() == second.number; }));
}

TEST_F(SlotSuccession, SeesTheCommitOfOneThatStandsStillAndKillsItInTheEnd) {
  stand_by();
  rig.order_fault("fake.after_commit stop");
  hand_over();
  ASSERT_TRUE(rig.until([&] { return rig.server(0) == successor; }));
  EXPECT_FALSE(rig.has_heard("taken 0"));  // the socket is still open
  rig.slots().look(monotonic_ms());
  EXPECT_TRUE(rig.has_heard("taken 0"));
  EXPECT_EQ(children_of(getpid()).size(), 2u);
  rig.slots().look(monotonic_ms() + Slots::kLeaveMs);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.server(0), successor);
}

TEST_F(SlotSuccession, CrashesTheSlotThatWasGivenToADeadSuccessor) {
  stand_by();
  rig.order_fault("fake.before_commit stop");
  hand_over();
  ASSERT_TRUE(rig.fault_happened());
  kill(successor, SIGKILL);
  ASSERT_TRUE(rig.heard("died 0"));
  EXPECT_TRUE(rig[0].asked);
  rig.stats(0).sessions_online.add(7);
  ASSERT_TRUE(continue_when_stopped(before));
  ASSERT_TRUE(rig.heard("crashed 0"));
  EXPECT_EQ(restarts(), 1u);
  EXPECT_EQ(rig.stats(0).sessions_online.get(), 0u);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
}

TEST_F(SlotSuccession, KillsADismissedSuccessorAndWaitsForTheWordOfTheProcess) {
  stand_by();
  rig.order_fault("fake.told stop");
  hand_over();
  ASSERT_TRUE(rig.fault_happened());
  rig.slots().dismiss(0);
  EXPECT_TRUE(rig[0].successor && rig[0].asked);
  EXPECT_TRUE(rig.heard("kept 0"));  // before the successor is reaped, or after
  EXPECT_TRUE(rig.one_process_serves_each({0}));
  EXPECT_EQ(rig.server(0), before);
}

TEST_F(SlotSuccession, KeepsTheSuccessorOfAProcessThatCrashesAndIsRespawned) {
  stand_by();
  kill(before, SIGKILL);
  ASSERT_TRUE(rig.heard("crashed 0"));
  ASSERT_TRUE(rig.until([&] { return rig[0].phase == Phase::serving; }));
  EXPECT_EQ(rig[0].generation, &first);
  ASSERT_TRUE(rig[0].successor);
  hand_over();
  ASSERT_TRUE(rig.heard("taken 0"));
  EXPECT_EQ(rig.server(0), successor);
  EXPECT_TRUE(rig.one_process_serves_each({0}));
}

TEST(SlotSuccessionStop, EndsBothWhileTheSlotIsHandedOver) {
  for (const char* point : {"fake.before_commit stop", "fake.after_commit stop"}) {
    SlotsRig rig;
    const auto& generation = rig.new_generation();
    rig.serve(0, generation);
    pid_t process = rig.server(0);
    rig.stand_by(0, {&generation, 0, true});
    rig.order_fault(point);
    ASSERT_TRUE(rig.slots().hand_over(0));
    ASSERT_TRUE(rig.fault_happened()) << point;
    rig.slots().stop(control_word::kTerm);
    ASSERT_TRUE(continue_when_stopped(process));
    EXPECT_TRUE(rig.until([&] { return rig.slots().all_empty(); })) << point;
    EXPECT_TRUE(rig.has_heard("empty 0")) << point;
    EXPECT_FALSE(rig.has_heard("crashed 0")) << point;
  }
}

TEST_F(SlotSuccession, StopEndsOneThatStandsBy) {
  stand_by();
  rig.slots().stop(control_word::kTerm);
  EXPECT_TRUE(rig.heard("empty 0"));
  EXPECT_TRUE(rig.slots().all_empty());
}

TEST_F(SlotSuccession, KillAllCountsEverybody) {
  stand_by();
  EXPECT_EQ(rig.slots().kill_all(), 2u);
  EXPECT_TRUE(rig.until([&] { return rig.slots().all_empty(); }));
}

TEST_F(SlotSuccession, FinishesInASuccessorThatDoesNotAccept) {
  stand_by(false);
  hand_over();
  ASSERT_TRUE(rig.heard("taken 0"));
  EXPECT_FALSE(rig[0].accepts);
  EXPECT_TRUE(rig.heard("empty 0"));  // it had nothing to finish
  EXPECT_EQ(restarts(), 0u);
}

TEST_F(SlotSuccession, RespawnsAFinishingProcessThatCrashesAsAFinishingOne) {
  stand_by(false);
  rig.order_fault("fake.taken kill");
  hand_over();
  ASSERT_TRUE(rig.heard("crashed 0"));
  EXPECT_FALSE(rig[0].accepts);
  EXPECT_TRUE(rig.heard("empty 0"));
  EXPECT_EQ(restarts(), 1u);
}

TEST_F(SlotSuccession, EndsASuccessorWhoseSlotHasBecomeEmpty) {
  rig.slots().drain(0);
  stand_by();
  EXPECT_TRUE(rig.heard("empty 0"));
  EXPECT_FALSE(rig[0].successor);
  EXPECT_TRUE(rig.slots().all_empty());
}

// Says that it has the slot, and has not.
int lying_worker_main(const Heritage& heritage) {
  if (!heritage.standby) return fake_worker_main(heritage);
  say(heritage.control, control_word::kReady);
  say(heritage.control, control_word::kTaken);
  static_cast<void>(wait_for_takeover(heritage.control));
  return 1;
}

TEST(SlotSuccessionLie, BelievesTheSegmentMoreThanAWord) {
  SlotsRig rig(lying_worker_main);
  const auto& generation = rig.new_generation();
  rig.serve(0, generation);
  pid_t before = rig.server(0);
  rig.stand_by(0, {&generation, 0, true});
  ASSERT_TRUE(rig.slots().hand_over(0));
  EXPECT_TRUE(rig.heard("kept 0"));
  EXPECT_FALSE(rig.has_heard("taken 0"));
  EXPECT_EQ(rig.server(0), before);
}

}  // namespace
}  // namespace holdfast::test
