// holdfastctl and holdfastd's own options against a running gateway.

#include <gtest/gtest.h>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

TEST(Ctl, ShowsStatsWorkersSessionsAndChannels) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=room", {0, 1});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  Finished stats = gw.ctl({"stats", "--json"});
  EXPECT_EQ(stats.status, 0) << stats.output;
  EXPECT_NE(stats.output.find("\"sessions.online\":2"), std::string::npos) << stats.output;
  Finished workers = gw.ctl({"workers"});
  EXPECT_NE(workers.output.find(std::to_string(gw.worker(1))), std::string::npos) << workers.output;
  Finished sessions = gw.ctl({"sessions"});
  for (WsClient& client : clients)
    EXPECT_NE(sessions.output.find(client.session()), std::string::npos) << sessions.output;
  Finished one = gw.ctl({"session", clients[1].session()});
  EXPECT_EQ(one.status, 0);
  EXPECT_NE(one.output.find("127.0.0.1"), std::string::npos) << one.output;
  EXPECT_EQ(gw.ctl({"session", std::string(32, 'a')}).status, 1);
  Finished channels = gw.ctl({"channels"});
  EXPECT_NE(channels.output.find("room"), std::string::npos) << channels.output;
}

TEST(Ctl, SendsPublishesJoinsLeavesAndKicks) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=room", {0, 1});
  std::string id = clients[1].session();
  EXPECT_EQ(gw.ctl({"send", id, "by the tool"}).status, 0);
  EXPECT_EQ(clients[1].next_text(), "by the tool");
  EXPECT_EQ(gw.ctl({"publish", "room", "-"}, "from standard input").status, 0);
  for (WsClient& client : clients) EXPECT_EQ(client.next_text(), "from standard input");
  EXPECT_EQ(gw.ctl({"join", "extra", id}).status, 0) << gw.ctl({"join", "--help"}).output;
  EXPECT_EQ(gw.ctl({"publish", "extra", "x"}).status, 0);
  EXPECT_EQ(clients[1].next_text(), "x");
  EXPECT_EQ(gw.ctl({"leave", "extra", id}).status, 0);
  EXPECT_EQ(gw.ctl({"kick", id}).status, 0);
  EXPECT_NE(clients[1].wait_close(), 1006);
}

TEST(Ctl, ReloadsChecksAndStops) {
  Gateway gw({.server = "drain_timeout = \"100ms\"", .tables = relay_ws()});
  Finished reload = gw.ctl({"reload"});
  EXPECT_EQ(reload.status, 0) << reload.output;
  EXPECT_EQ(gw.generation(), 2u);
  EXPECT_EQ(gw.ctl({"check"}).status, 0);
  Finished stop = gw.ctl({"stop"});
  EXPECT_EQ(stop.status, 0) << stop.output;
  EXPECT_EQ(gw.process().wait_for_end(15'000), 0);
  EXPECT_EQ(gw.ctl({"stats"}).status, 3);
}

TEST(Ctl, UsageErrorsAndMissingInstancesHaveTheirExitCodes) {
  EXPECT_EQ(run({binary("HF_HOLDFASTCTL"), "no-such-command"}).status, 2);
  EXPECT_EQ(run({binary("HF_HOLDFASTCTL"), "-i", "no-such-instance", "stats"}).status, 3);
}

TEST(Holdfastd, ChecksAConfigurationAndPrintsIt) {
  TempDir dir;
  write_file(dir / "good.toml", relay_ws());
  Finished good = run({binary("HF_HOLDFASTD"), "-t", "-c", dir / "good.toml"});
  EXPECT_EQ(good.status, 0) << good.output;
  write_file(dir / "bad.toml",
             relay_ws() + "[limits]\nmax_sesions = 1\nmax_message_size = \"64 KB\"\n");
  Finished bad = run({binary("HF_HOLDFASTD"), "-t", "-c", dir / "bad.toml"});
  EXPECT_EQ(bad.status, 1);
  EXPECT_NE(bad.output.find("bad.toml:8:"), std::string::npos) << bad.output;
  EXPECT_NE(bad.output.find("max_sessions"), std::string::npos) << bad.output;
  EXPECT_NE(bad.output.find("bad.toml:9:"), std::string::npos) << bad.output;
  Finished printed = run({binary("HF_HOLDFASTD"), "--print-config", "-c", dir / "good.toml"});
  EXPECT_EQ(printed.status, 0);
  EXPECT_NE(printed.output.find("max_sessions"), std::string::npos) << printed.output;
}

}  // namespace
}  // namespace holdfast::test
