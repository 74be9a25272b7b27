// Start, stop, crash and hang, with a real master and fake workers.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/unit/master/running_master.h"

namespace holdfast::test {
namespace {

using shm::SlotState;

bool is_there(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(MasterLife, LeavesNothingBehindAfterACleanStop) {
  RunningMaster master;
  for (const char* file : {"holdfastd.pid", "control.sock", "api.sock", "listeners"})
    EXPECT_TRUE(is_there(master.run_dir() + "/" + file)) << file;
  master.process().signal(SIGTERM);
  EXPECT_EQ(master.process().exit_status(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(master.run_dir()));
  EXPECT_THROW(master.slot(0), std::runtime_error);
}

TEST(MasterLife, StopsGracefullyOnQuit) {
  RunningMaster master;
  master.process().signal(SIGQUIT);
  EXPECT_EQ(master.process().exit_status(), 0);
  EXPECT_TRUE(master.log_says("stopping gracefully"));
}

// Who comes while the workers finish is told so at once, and what there was is served on.
TEST(MasterLife, RefusesNewcomersWhileItStopsGracefully) {
  conf::TempDir dir;
  RunningMaster master(
      {.server = "stop_timeout = \"60s\"",
       .listens = listen_at("127.0.0.1:0") + listen_at("unix:" + (dir / "app.sock"))});
  std::string tcp = master.listed(0), unix = master.listed(1);
  FakeClient old(tcp);
  Who who = old.who();
  master.process().signal(SIGQUIT);
  for (const std::string& address : {tcp, unix})
    EXPECT_TRUE(eventually([&] { return !FakeClient(address).connected(); })) << address;
  EXPECT_EQ(old.who().pid, who.pid);
  EXPECT_EQ(master.ask("ping").substr(0, 3), "ok ");
  master.process().signal(SIGTERM);
  EXPECT_EQ(master.process().exit_status(), 0);
}

TEST(MasterLife, StopsWhenAskedThroughTheControlSocket) {
  RunningMaster master;
  EXPECT_EQ(master.ask("stop"), "ok stopping\n");
  EXPECT_EQ(master.process().exit_status(), 0);
}

TEST(MasterLife, KillsWorkersThatOutstayAStop) {
  RunningMaster master({.workers = 1});
  FakeClient client(master.listed(0));
  client.say("hang");
  ASSERT_EQ(client.answer(), "hang\n");
  master.process().signal(SIGTERM);
  EXPECT_EQ(master.process().exit_status(), 1);
  EXPECT_TRUE(master.log_says("workers killed number=1"));
}

TEST(MasterLife, RespawnsACrashedWorkerInItsSlot) {
  RunningMaster master;
  FakeClient client(master.listed(0));
  Who before = client.who();
  client.say("crash");
  EXPECT_EQ(client.answer(), "");
  auto& slot = master.slot(uint16_t(before.slot));
  EXPECT_TRUE(eventually(
      [&] { return slot.restarts.load() == 1 && slot.state.load() == SlotState::serving; }));
  EXPECT_NE(slot.pid.load(), uint32_t(before.pid));
  EXPECT_TRUE(master.log_says("signal=6 (Aborted)"));
}

TEST(MasterLife, KeepsWhatWaitsForACrashedWorker) {
  RunningMaster master({.workers = 1});
  FakeClient crasher(master.listed(0));
  crasher.who();
  master.fail_new_workers(true);
  crasher.say("crash");
  EXPECT_EQ(crasher.answer(), "");
  FakeClient waiting(master.listed(0));  // nobody accepts now
  ASSERT_TRUE(waiting.connected());
  master.fail_new_workers(false);
  EXPECT_EQ(waiting.who().slot, 0u);
}

TEST(MasterLife, AbortsAWorkerThatHangs) {
  RunningMaster master({.workers = 1, .server = "hang_timeout = \"1s\""});
  FakeClient client(master.listed(0));
  pid_t before = client.who().pid;
  client.say("hang");
  EXPECT_TRUE(master.log_says("worker hangs slot=0"));
  auto& slot = master.slot(0);
  EXPECT_TRUE(eventually(
      [&] { return slot.restarts.load() == 1 && slot.state.load() == SlotState::serving; }));
  EXPECT_NE(FakeClient(master.listed(0)).who().pid, before);
}

TEST(MasterLife, KillsAStoppedWorkerThatCannotBeAborted) {
  RunningMaster master({.workers = 1, .server = "hang_timeout = \"1s\""});
  auto pid = pid_t(master.slot(0).pid.load());
  ASSERT_EQ(kill(pid, SIGSTOP), 0);
  EXPECT_TRUE(master.log_says("signal=9 (Killed)"));
  EXPECT_NE(FakeClient(master.listed(0)).who().pid, pid);
}

TEST(MasterLife, GivesUpWhenWorkersNeverBecomeReady) {
  RunningMaster master({.fail_new_workers = true});
  EXPECT_EQ(master.process().exit_status(), 1);
  EXPECT_TRUE(master.log_says("died 5 times before it was ready"));
  EXPECT_FALSE(is_there(master.run_dir() + "/holdfastd.pid"));
}

TEST(MasterLife, RefusesASecondMasterOfTheSameDirectoryAndNamesTheFirst) {
  RunningMaster master;
  auto second = master.another();
  EXPECT_EQ(second->exit_status(), 1);
  EXPECT_TRUE(master.log_says(
      fmt::format("is held by a running holdfastd (pid {})", master.process().pid())));
  EXPECT_TRUE(FakeClient(master.listed(0)).connected());
  EXPECT_TRUE(is_there(master.run_dir() + "/control.sock"));
}

TEST(MasterLife, RefusesAPortOfAnotherInstance) {
  RunningMaster master;
  RunningMaster other({.listens = listen_at(master.listed(0)), .await = false});
  EXPECT_EQ(other.process().exit_status(), 1);
  EXPECT_TRUE(other.log_says("another process listens there already"));
  EXPECT_TRUE(std::filesystem::is_empty(other.run_dir())) << "left something behind";
}

TEST(MasterLife, StartsAtOnceBesideTheDrainersOfAKilledMaster) {
  RunningMaster master({.server = "drain_timeout = \"60s\""});
  std::string address = master.listed(0);
  FakeClient old_client(address);
  Who old_worker = old_client.who();
  master.process().signal(SIGKILL);
  ASSERT_TRUE(eventually([&] { return master.process().ended(); }));
  master.write_config({.listens = listen_at(address)});
  master.start();
  EXPECT_TRUE(master.log_says("was killed earlier; replacing what it left"));
  EXPECT_TRUE(eventually([&] {
    FakeClient client(address);
    return client.connected() && client.who().pid != old_worker.pid;
  }));
  EXPECT_EQ(old_client.who().pid, old_worker.pid);  // it drains, and is served meanwhile
  old_client.say("crash");
}

TEST(MasterLife, AnswersPingAndNamesUnknownRequests) {
  RunningMaster master;
  EXPECT_EQ(master.ask("ping"),
            fmt::format("ok holdfastd {} pid={}\n", HOLDFAST_VERSION, master.process().pid()));
  EXPECT_EQ(master.ask("dance").substr(0, 21), "error unknown request");
  EXPECT_EQ(master.ask(std::string(5000, 'x')), "error request line too long\n");
}

TEST(MasterLife, ReopensItsLog) {
  RunningMaster master;
  std::filesystem::rename(master.file("log"), master.file("log.1"));
  EXPECT_EQ(master.ask("reopen-logs"), "ok logs reopened\n");
  EXPECT_TRUE(master.log_says("logs reopened"));
}

// The folder was taken away, or its disk is not mounted: making it would hide that.
TEST(MasterLife, RefusesToReopenALogWhoseFolderIsGone) {
  conf::TempDir dir;
  std::filesystem::create_directory(dir / "logs");
  RunningMaster master({.await = false, .log = dir / "logs/log"});
  ASSERT_TRUE(eventually([&] { return master.ask("ping").starts_with("ok"); }));
  std::filesystem::rename(dir / "logs", dir / "moved");
  EXPECT_EQ(master.ask("reopen-logs"),
            fmt::format("error logs not reopened, the old ones are written on: open log {0}/log: "
                        "folder {0}: No such file or directory\n",
                        dir / "logs"));
  EXPECT_FALSE(std::filesystem::exists(dir / "logs"));
  std::string log = contents_of(dir / "moved/log");
  EXPECT_NE(log.find("logs not reopened"), std::string::npos) << log;
  EXPECT_EQ(log.find("logs reopened"), std::string::npos) << log;
}

TEST(MasterLife, DoesNotStartWithALogInNoFolder) {
  conf::TempDir dir;
  testing::internal::CaptureStderr();
  RunningMaster master({.await = false, .log = dir / "logs/log"});
  EXPECT_EQ(master.process().exit_status(), 1);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("not started: open log "), std::string::npos) << said;
  EXPECT_FALSE(std::filesystem::exists(dir / "logs"));
}

TEST(MasterLife, SaysOnStderrTooWhyItDidNotStart) {
  RunningMaster master;
  testing::internal::CaptureStderr();
  EXPECT_EQ(master.another()->exit_status(), 1);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.starts_with("not started: ")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_TRUE(master.log_says(said.substr(0, said.size() - 1)));
}

}  // namespace
}  // namespace holdfast::test
