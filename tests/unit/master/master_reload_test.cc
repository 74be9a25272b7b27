// Reloads, with a real master and fake workers.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/master/running_master.h"

namespace holdfast::test {
namespace {

using shm::SlotState;

TEST(MasterReload, HandsEverySlotToASuccessorOnTheSameSockets) {
  RunningMaster master;
  std::string address = master.listed(0);
  FakeClient client(address);
  Who before = client.who();
  EXPECT_EQ(before.generation, 1u);
  EXPECT_EQ(master.ask("reload"), "ok generation 2 serves with 2 workers; 2 slots handed over\n");
  EXPECT_EQ(master.listed(0), address);
  Who after = client.who();  // the same connection, in another process
  EXPECT_EQ(after.generation, 2u);
  EXPECT_EQ(after.slot, before.slot);
  EXPECT_NE(after.pid, before.pid);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(FakeClient(address).who().generation, 2u);
  EXPECT_TRUE(master.one_process_serves_each({0, 1}));
}

TEST(MasterReload, CountsNoRestartAndLeavesTheOtherSlotsFree) {
  RunningMaster master;
  master.process().signal(SIGHUP);
  ASSERT_TRUE(master.serves(2));
  for (uint16_t slot : {uint16_t{0}, uint16_t{1}}) {
    EXPECT_EQ(master.slot(slot).restarts.load(), 0u);
    EXPECT_EQ(master.slot(slot).generation.load(), 2u);
  }
  EXPECT_EQ(master.slot(2).state.load(), SlotState::free);
}

// A slot whose process says no three times keeps it, with the configuration it has.
TEST(MasterReload, NamesTheSlotThatCouldNotBeHandedOver) {
  RunningMaster master;
  master.refuse_handover(1, true);
  std::string answer = master.ask("reload");
  EXPECT_EQ(answer.substr(0, 25), "error reload partly done:") << answer;
  EXPECT_NE(answer.find("slot 1 goes on with the old configuration"), std::string::npos) << answer;
  EXPECT_EQ(master.slot(0).generation.load(), 2u);
  EXPECT_EQ(master.slot(1).generation.load(), 1u);
  EXPECT_TRUE(master.one_process_serves_each({0, 1}));
  master.refuse_handover(1, false);
  EXPECT_EQ(master.ask("reload").substr(0, 15), "ok generation 3");
  EXPECT_EQ(master.slot(1).generation.load(), 3u);
}

TEST(MasterReload, RefusesABadConfigurationAndTellsEveryProblem) {
  RunningMaster master;
  master.write_config({.server = "colour = 1\nnode_id = 0"});
  std::string answer = master.ask("reload");
  EXPECT_EQ(answer.substr(0, 21), "error reload refused:");
  EXPECT_NE(answer.find("colour"), std::string::npos) << answer;
  EXPECT_NE(answer.find("node_id"), std::string::npos) << answer;
  EXPECT_EQ(FakeClient(master.listed(0)).who().generation, 1u);
  EXPECT_EQ(master.slot(2).state.load(), SlotState::free);
}

TEST(MasterReload, RefusesALogInNoFolderAndMakesNone) {
  RunningMaster master;
  conf::TempDir dir;
  master.write_config({.log = dir / "logs/log"});
  std::string answer = master.ask("reload");
  EXPECT_EQ(answer.substr(0, 21), "error reload refused:");
  EXPECT_NE(answer.find("log.target = "), std::string::npos) << answer;
  EXPECT_NE(answer.find(dir / "logs: No such file or directory"), std::string::npos) << answer;
  EXPECT_FALSE(std::filesystem::exists(dir / "logs"));
  EXPECT_TRUE(master.log_says("reload refused"));
}

TEST(MasterReload, RefusesAUserThatDoesNotExist) {
  RunningMaster master;
  master.write_config({.server = "user = \"no-such-user-here\""});
  std::string answer = master.ask("reload");
  EXPECT_NE(answer.find("server.user = \"no-such-user-here\": no such user"), std::string::npos)
      << answer;
}

TEST(MasterReload, RefusesWhatNeedsARestartAndNamesIt) {
  RunningMaster master;
  master.write_config({.server = "node_id = 7"});
  std::string answer = master.ask("reload");
  EXPECT_NE(answer.find("need a restart"), std::string::npos) << answer;
  EXPECT_NE(answer.find("server.node_id"), std::string::npos) << answer;
}

// The rings between workers are as large as the first configuration needed.
TEST(MasterReload, RefusesLargerMessagesThanTheMailboxesTake) {
  RunningMaster master;
  master.write_config({.limits = "max_message_size = \"8 MiB\""});
  std::string answer = master.ask("reload");
  EXPECT_NE(answer.find("need a restart"), std::string::npos) << answer;
  EXPECT_NE(answer.find("limits.mailbox_size"), std::string::npos) << answer;
  master.write_config({.limits = "max_message_size = \"1 KiB\""});
  EXPECT_EQ(master.ask("reload").substr(0, 3), "ok ");
}

TEST(MasterReload, RefusesAnAddressThatIsTakenAndChangesNothing) {
  RunningMaster other, master;
  std::string before = master.listed(0);
  master.write_config(
      {.listens = listen_at("127.0.0.1:0") + listen_at("[::1]:0") + listen_at(other.listed(0))});
  std::string answer = master.ask("reload");
  EXPECT_NE(answer.find("listen[2].address"), std::string::npos) << answer;
  EXPECT_EQ(master.listed(0), before);
  EXPECT_EQ(FakeClient(before).who().generation, 1u);
}

TEST(MasterReload, IsAbandonedWhenNewWorkersNeverBecomeReady) {
  RunningMaster master;
  FakeClient client(master.listed(0));
  Who before = client.who();
  master.fail_new_workers(true);
  std::string answer = master.ask("reload");
  EXPECT_EQ(answer.substr(0, 23), "error reload abandoned,") << answer;
  EXPECT_EQ(client.who().pid, before.pid);
  EXPECT_TRUE(eventually([&] {
    return master.slot(2).state.load() == SlotState::free &&
           master.slot(3).state.load() == SlotState::free;
  }));
  master.fail_new_workers(false);
  EXPECT_EQ(master.ask("reload").substr(0, 15), "ok generation 2");
}

TEST(MasterReload, TakesMoreAndFewerWorkersOnTheSameSockets) {
  RunningMaster master({.workers = 1});
  std::string address = master.listed(0);
  master.write_config({.workers = 3});
  EXPECT_EQ(master.ask("reload").substr(0, 33), "ok generation 2 serves with 3 wor");
  master.write_config({.workers = 1});
  EXPECT_EQ(master.ask("reload").substr(0, 33), "ok generation 3 serves with 1 wor");
  for (int i = 0; i < 20; ++i) {
    Who who = FakeClient(address).who();  // whichever lane the kernel chooses, somebody serves it
    if (who.generation == 3) {
      EXPECT_EQ(who.listeners, 4u);  // three lanes and the built-in api
    }
  }
}

TEST(MasterReload, ClosesARemovedListenerAndOpensAnAddedOne) {
  RunningMaster master;
  std::string removed = master.listed(0);
  master.write_config({.listens = listen_at("[::1]:0")});
  ASSERT_EQ(master.ask("reload").substr(0, 3), "ok ");
  EXPECT_EQ(FakeClient(master.listed(0)).who().generation, 2u);
  EXPECT_TRUE(eventually([&] { return !FakeClient(removed).connected(); }));
  EXPECT_TRUE(master.log_says("listeners removed addresses=1"));
}

TEST(MasterReload, FollowsOneThatIsUnderWayWhenAskedBySignal) {
  RunningMaster master;
  for (int i = 0; i < 3; ++i) {
    master.process().signal(SIGHUP);
    ASSERT_TRUE(master.serves(uint32_t(2 + i)));
    ASSERT_TRUE(eventually([&] { return master.slot(0).state.load() != SlotState::draining; }));
  }
}

// One worker less: its slot's sessions stay where they are, with a successor that accepts nothing.
TEST(MasterReload, LetsASurplusSlotFinishItsSessionsAlsoAfterACrash) {
  RunningMaster master;
  FakeClient first(master.listed(0)), second(master.listed(0));
  for (int i = 0; i < 50 && second.who().slot == first.who().slot; ++i)
    second = FakeClient(master.listed(0));
  ASSERT_NE(first.who().slot, second.who().slot);
  FakeClient& stays = first.who().slot == 1 ? first : second;
  master.write_config({.workers = 1});
  EXPECT_EQ(master.ask("reload"),
            "ok generation 2 serves with 1 workers; 2 slots handed over; 1 slots finish their "
            "sessions\n");
  EXPECT_EQ(stays.who().generation, 2u);
  EXPECT_EQ(stays.who().listeners, 0u);
  EXPECT_EQ(master.slot(1).state.load(), SlotState::draining);
  stays.say("crash");
  EXPECT_TRUE(master.log_says("it only finishes what its predecessor left"));
  EXPECT_TRUE(eventually([&] { return master.slot(1).state.load() == SlotState::free; }));
  EXPECT_EQ(master.slot(1).restarts.load(), 1u);
}

// Connections are made all the time while the configuration is reloaded again and again.
TEST(MasterReload, RefusesAndResetsNoNewConnection) {
  RunningMaster master({.server = "drain_timeout = \"300ms\""});
  std::string address = master.listed(0);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd over(ends[0]), going_on(ends[1]);  // while this is open, they come
  Forked storm([&] {
    going_on.reset();
    pollfd end{.fd = over.get(), .events = 0, .revents = 0};
    while (poll(&end, 1, 0) == 0) {
      FakeClient client(address);
      if (!client.connected()) return 1;
      client.say("hello");
      if (client.answer() != "hello\n") return 2;
    }
    return 0;
  });
  for (int reloads = 0; reloads < 10 && !storm.ended();)
    reloads += master.ask("reload").starts_with("ok ");
  going_on.reset();
  EXPECT_EQ(storm.exit_status(), 0);
}

}  // namespace
}  // namespace holdfast::test
