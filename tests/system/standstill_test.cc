// All processes of a server stand still for a while, as in a paused container or a moved machine: a gap in the server's own time is
// no silence of its clients, and no hang of its workers.
#include <gtest/gtest.h>
#include <signal.h>

#include <deque>

#include "base/clock.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr int kStandStillMs = 5'000;  // longer than every timeout below

class StandStill : public ::testing::Test {
 protected:
  static constexpr const char* kTimeouts = "idle_timeout = \"3s\"\nping_interval = \"0s\"";

  // Stops everybody, and lets them go on, the master first: it must not judge by the heartbeats of before.
  void stand_still() {
    std::vector<pid_t> all{gw_.master()};
    for (uint16_t slot : gw_.serving_slots()) all.push_back(gw_.worker(slot));
    for (pid_t pid : all) ASSERT_EQ(kill(pid, SIGSTOP), 0);
    for (pid_t pid : all) ASSERT_TRUE(eventually([pid] { return is_stopped(pid); }));
    uint64_t until_ms = monotonic_ms() + kStandStillMs;
    while_stopped();
    ASSERT_TRUE(eventually([until_ms] { return monotonic_ms() >= until_ms; }, 2 * kStandStillMs));
    for (pid_t pid : all) ASSERT_EQ(kill(pid, SIGCONT), 0);
  }
  virtual void while_stopped() {
    for (WsClient& client : speakers_) client.send_text("while all stood still");
  }

  Gateway gw_{{.workers = 2,
               .server = "hang_timeout = \"3s\"",
               .limits = "handshake_timeout = \"3s\"",
               .tables = echo_ws(kTimeouts)}};
  std::deque<WsClient> speakers_;
};

TEST_F(StandStill, NobodyIsIdleAndNoWorkerHangsForIt) {
  std::deque<WsClient> silent;
  for (int i = 0; i < 4; ++i) speakers_.emplace_back(gw_.listener(), "/ws");
  for (int i = 0; i < 4; ++i) silent.emplace_back(gw_.listener(), "/ws");
  Stream slow(gw_.listener());  // in the middle of its hand-shake
  slow.write("GET /ws HTTP/1.1\r\n");
  std::vector<pid_t> workers;
  for (uint16_t slot : gw_.serving_slots()) workers.push_back(gw_.worker(slot));
  ASSERT_NO_FATAL_FAILURE(stand_still());
  for (WsClient& client : speakers_) EXPECT_EQ(client.next_text(), "while all stood still");
  for (WsClient& client : silent) {
    client.send_text("behind it");
    EXPECT_EQ(client.next_text(), "behind it");
  }
  slow.write("Host: x\r\n\r\n");
  EXPECT_TRUE(slow.read_until("\r\n").starts_with("HTTP/1.1 4")) << "answered, not cut off";
  // As many heartbeats are judged now as it takes to abort somebody.
  EXPECT_EQ(gw_.counter_becomes("loop.gaps", 2), 2u);
  for (WsClient& client : silent) {
    client.send_text("again");
    EXPECT_EQ(client.next_text(), "again");
  }
  for (size_t i = 0; i < workers.size(); ++i)
    EXPECT_EQ(gw_.worker(gw_.serving_slots()[i]), workers[i]);
  EXPECT_EQ(gw_.log().find("hangs"), std::string::npos) << gw_.log();
  EXPECT_EQ(gw_.counter("handshakes.timed_out"), 0u);
}

// Before the master has looked at any heartbeat.
TEST_F(StandStill, NorInItsFirstSecond) {
  ASSERT_NO_FATAL_FAILURE(stand_still());
  WsClient client(gw_.listener(), "/ws");
  EXPECT_TRUE(eventually([&] {
    client.send_text("hello");
    return client.next_text() == "hello" && gw_.counter("loop.gaps") == 2;
  }));
  EXPECT_EQ(gw_.log().find("hangs"), std::string::npos) << gw_.log();
}

// Silence counts from then on.
TEST_F(StandStill, IdleIsWhoSaysNothingAfterwards) {
  WsClient client(gw_.listener(), "/ws");
  ASSERT_NO_FATAL_FAILURE(stand_still());
  EXPECT_EQ(client.wait_close(), 1001);
}

}  // namespace
}  // namespace holdfast::test
