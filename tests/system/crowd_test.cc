// A crowd of two thousand, which numbers all that is said in both directions, notices nothing of reloads and upgrades, and
// of the death of a worker only who was connected to it.

#include "tests/system/crowd_fixture.h"

namespace holdfast::test {
namespace {

class CrowdReload : public CrowdTest {
 protected:
  void expect_nobody_was_closed(Crowd& crowd) {
    expect_exact(crowd);
    EXPECT_EQ(gw_.counter("sessions.crashed"), 0u);
    EXPECT_EQ(gw_.counter("sessions.closed_stop"), 0u);
    expect_nothing_left(crowd);
  }
};

TEST_F(CrowdReload, TenThatChangeTheWorkerCountAreNotNoticed) {
  Crowd crowd(everybody(20));
  for (unsigned workers : {2, 3, 1, 2, 4, 4, 1, 3, 2, 2}) {
    options_.workers = workers;
    gw_.write_config(options_);
    uint64_t next = gw_.generation() + 1;
    gw_.signal(SIGHUP);
    ASSERT_TRUE(crowd.run_until([&] { return gw_.generation() == next; }, 4 * timeout_ms()));
    ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  }
  expect_nobody_was_closed(crowd);
}

TEST_F(CrowdReload, UpgradesAndRefusedReloadsAreNotNoticed) {
  Crowd crowd(everybody(10));
  for (unsigned workers : {2, 3, 2}) {
    options_.workers = workers;
    gw_.write_config(options_);
    Finished upgrade;
    crowd.during([&] { upgrade = gw_.ctl({"upgrade"}); });
    ASSERT_EQ(upgrade.status, 0) << upgrade.output;
    gw_.attach();
    GatewayOptions bad = options_;
    bad.limits = "max_message_size = 0";
    gw_.write_config(bad);
    crowd.during([&] { EXPECT_NE(gw_.ctl({"reload"}).status, 0); });
    ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  }
  expect_nobody_was_closed(crowd);
}

// ---- crashes

class CrowdCrash : public CrowdTest {
 protected:
  void expect_served_again(Crowd& crowd, uint16_t slot, pid_t victim) {
    ASSERT_TRUE(crowd.run_until(
        [&] {
          return gw_.worker(slot) != victim &&
                 gw_.segment().slot(slot).state.load() == shm::SlotState::serving;
        },
        4 * timeout_ms()))
        << gw_.log();
  }
};

class CrowdCrashOfAWorker : public CrowdCrash, public testing::WithParamInterface<int> {};

// The victim is stopped first, wherever it is just then, so that nobody connects to it unseen.
TEST_P(CrowdCrashOfAWorker, CostsItsOwnConnectionsAndNothingElse) {
  Crowd crowd(everybody(6));
  for (uint16_t slot : std::vector<uint16_t>{0, 2, 1}) {
    pid_t victim = gw_.worker(slot);
    kill(victim, SIGSTOP);
    std::set<PortPair> held = connections_of(victim);
    ASSERT_FALSE(held.empty());
    crowd.doom(held);
    crowd.trouble(true);
    kill(victim, GetParam());
    if (GetParam() == SIGSEGV) kill(victim, SIGCONT);
    ASSERT_NO_FATAL_FAILURE(expect_served_again(crowd, slot, victim));
    ASSERT_TRUE(crowd.run_until([&] { return crowd.doomed() == 0; })) << crowd.state_text();
    ASSERT_NO_FATAL_FAILURE(go_on(crowd));
    ASSERT_NO_FATAL_FAILURE(expect_exact(crowd));
    crowd.trouble(false);
    crowd.resume();
  }
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  expect_nothing_left(crowd);
  unsigned crashed = 0;
  for (const auto& [id, told] : told_of(fpm_.app_log())) crashed += told.reason == "worker crashed";
  EXPECT_GT(crashed, 0u);
}

std::string name_of_signal(const testing::TestParamInfo<int>& info) {
  return info.param == SIGKILL ? "Kill" : info.param == SIGSEGV ? "Segv" : "Hang";
}
INSTANTIATE_TEST_SUITE_P(Signals, CrowdCrashOfAWorker, testing::Values(SIGKILL, SIGSEGV, SIGSTOP),
                         name_of_signal);

struct BothCase {
  const char* name;
  int master, worker;  // signal, 0: none
};
class CrowdCrashOfTheMaster : public CrowdCrash, public testing::WithParamInterface<BothCase> {};

// A new holdfastd starts at once. Who is connected to a worker that lives is let go by it; what the sessions of a dead or
// hung one are owed, the new instance delivers.
TEST_P(CrowdCrashOfTheMaster, ANewOneStartsAtOnceAndEveryCloseEventIsDelivered) {
  Crowd crowd(everybody(4));
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  crowd.doom_all();
  crowd.hold_newcomers(true);
  crowd.trouble(true);
  if (GetParam().worker != 0) kill(gw_.worker(1), GetParam().worker);
  kill(gw_.master(), GetParam().master);
  crowd.drop_doomed();
  ASSERT_NE(gw_.process().wait_for_end(timeout_ms()), -1);
  gw_.start();
  EXPECT_EQ(gw_.serving_slots().size(), 3u);
  CrowdOptions again = everybody(4);
  Crowd fresh(again);
  ASSERT_NO_FATAL_FAILURE(go_on(fresh));
  ASSERT_NO_FATAL_FAILURE(expect_exact(fresh));
  fresh.leave();
  EXPECT_TRUE(eventually([&] {
    for (const auto& [id, told] : told_of(fpm_.app_log()))
      if (told.closes == 0) return false;
    return true;
  })) << fpm_.app_log();
  expect_nothing_left(fresh);
}

INSTANTIATE_TEST_SUITE_P(Signals, CrowdCrashOfTheMaster,
                         testing::Values(BothCase{"Kill", SIGKILL, 0}, BothCase{"Segv", SIGSEGV, 0},
                                         BothCase{"KillBoth", SIGKILL, SIGKILL},
                                         BothCase{"SegvBoth", SIGSEGV, SIGSEGV},
                                         BothCase{"KillAndAHungWorker", SIGKILL, SIGSTOP}),
                         [](const auto& one) { return one.param.name; });

// A master that hangs does nothing for anybody, and nobody needs it: until a worker dies, which waits for it.
TEST_F(CrowdCrash, HungMasterIsNotNoticedAndGoesOnWhereItWas) {
  Crowd crowd(everybody(4));
  kill(gw_.master(), SIGSTOP);
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  EXPECT_EQ(gw_.ctl({"stats"}).status, 0);
  ASSERT_NO_FATAL_FAILURE(expect_exact(crowd));
  crowd.resume();
  pid_t victim = gw_.worker(1);
  kill(victim, SIGSTOP);
  crowd.doom(connections_of(victim));
  crowd.trouble(true);
  kill(victim, SIGKILL);
  ASSERT_TRUE(crowd.run_until([&] { return crowd.doomed() == 0; })) << crowd.state_text();
  kill(gw_.master(), SIGCONT);
  ASSERT_NO_FATAL_FAILURE(expect_served_again(crowd, 1, victim));
  crowd.during([&] { EXPECT_EQ(gw_.ctl({"reload"}).status, 0); });
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  expect_exact(crowd);
  expect_nothing_left(crowd);
}

// The application is gone for a while that has a reload, an upgrade and a crash in it.
TEST_F(CrowdCrash, CloseEventsOutliveAnOutageOfTheApplication) {
  Crowd crowd(everybody(4));
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  crowd.doom(CrowdKind::php);
  crowd.hold_newcomers(true);
  crowd.during([&] { fpm_.kill_hard(); });
  ASSERT_TRUE(crowd.run_until([&] { return crowd.doomed() == 0; })) << crowd.state_text();
  for (const char* what : {"reload", "upgrade"}) {
    Finished done;
    crowd.during([&] { done = gw_.ctl({what}); });
    ASSERT_EQ(done.status, 0) << done.output;
  }
  gw_.attach();
  EXPECT_GT(gw_.counter("events.close_owed"), 0u);
  pid_t victim = gw_.worker(0);
  kill(victim, SIGSTOP);
  crowd.doom(connections_of(victim));
  crowd.trouble(true);
  kill(victim, SIGKILL);
  ASSERT_NO_FATAL_FAILURE(expect_served_again(crowd, 0, victim));
  fpm_.start();
  ASSERT_TRUE(
      crowd.run_until([&] { return gw_.counter("events.close_owed") == 0; }, 4 * timeout_ms()));
  crowd.trouble(false);
  crowd.hold_newcomers(false);
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  expect_exact(crowd);
  expect_nothing_left(crowd);
}

}  // namespace
}  // namespace holdfast::test
