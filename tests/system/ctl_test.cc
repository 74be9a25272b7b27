// holdfastctl and holdfastd's own options against a running gateway.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

bool has(const Finished& finished, const std::string& text) {
  return finished.output.find(text) != std::string::npos;
}

TEST(Ctl, ShowsStatsWorkersSessionsAndChannels) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=room", {0, 1});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  Finished stats = gw.ctl({"stats", "--json"});
  EXPECT_EQ(stats.status, 0) << stats.output;
  EXPECT_TRUE(has(stats, "\"sessions.online\":2")) << stats.output;
  Finished workers = gw.ctl({"workers"});
  EXPECT_TRUE(has(workers, std::to_string(gw.worker(1)))) << workers.output;
  Finished sessions = gw.ctl({"sessions"});
  for (WsClient& client : clients) EXPECT_TRUE(has(sessions, client.session())) << sessions.output;
  Finished channels = gw.ctl({"channels"});
  EXPECT_TRUE(has(channels, "room")) << channels.output;
  EXPECT_EQ(gw.ctl({"channels", "--prefix", "x", "--json"}).output,
            "{\"channels\":[],\"more\":false}\n");
  Finished room = gw.ctl({"channel", "room"});
  for (WsClient& client : clients) EXPECT_TRUE(has(room, client.session())) << room.output;
  Finished first = gw.ctl({"channel", "room", "--limit", "1", "--json"});
  EXPECT_TRUE(has(first, "\"members\":2") && has(first, "\"more\":true")) << first.output;
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

TEST(Ctl, UsersAreBoundSentToShownAndKicked) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=lobby", {0, 1});
  const std::string &a = clients[0].session(), &b = clients[1].session();
  EXPECT_EQ(gw.ctl({"bind", a, "ann"}).status, 0);
  EXPECT_EQ(gw.ctl({"bind", b, "ann"}).status, 0);
  Finished user = gw.ctl({"user", "ann"});
  EXPECT_TRUE(has(user, "yes") && has(user, a) && has(user, b)) << user.output;
  EXPECT_EQ(gw.ctl({"users", "--json"}).output,
            R"({"users":[{"name":"ann","members":2,"subscribers":0,"published":0}],"more":false})"
            "\n");
  Finished some = gw.ctl({"sessions", "--user-prefix", "an", "--limit", "1"});
  EXPECT_TRUE(has(some, "there are more")) << some.output;
  EXPECT_EQ(gw.ctl({"send-user", "ann", "to both"}).status, 0);
  EXPECT_EQ(gw.ctl({"send-all", "to one", "--exclude", a}).status, 0);
  EXPECT_EQ(gw.ctl({"join", "room", "--user", "ann"}).status, 0);
  EXPECT_EQ(gw.ctl({"publish", "room", "last"}).status, 0);
  EXPECT_EQ(clients[0].next_text(), "to both");
  EXPECT_EQ(clients[0].next_text(), "last");
  for (const char* text : {"to both", "to one", "last"}) EXPECT_EQ(clients[1].next_text(), text);
  EXPECT_EQ(gw.ctl({"unbind", b, "somebody else"}).status, 1);
  EXPECT_EQ(gw.ctl({"unbind", b, "ann"}).status, 0);
  EXPECT_EQ(gw.ctl({"kick", "--user", "ann", "--code", "4001"}).status, 0);
  EXPECT_EQ(clients[0].wait_close(), 4001);
  EXPECT_TRUE(has(gw.ctl({"user", "ann"}), "no")) << "offline, and no failure";
}

TEST(Ctl, SessionShowsItsChannelsAndData) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=room");
  const std::string& id = client.session();
  EXPECT_EQ(gw.ctl({"data", id, "set", "plan=gold", "lang=de at"}).status, 0);
  EXPECT_EQ(gw.ctl({"data", id, "merge", "plan=", "n=1"}).status, 0);
  EXPECT_EQ(gw.ctl({"data", id}).output, "lang=de at\nn=1\n");
  Finished shown = gw.ctl({"session", id});
  EXPECT_EQ(shown.status, 0);
  for (const char* part : {"127.0.0.1", "room", "lang = de at"})
    EXPECT_TRUE(has(shown, part)) << part << " in\n" << shown.output;
  EXPECT_FALSE(has(shown, "close event")) << shown.output;
  Finished json = gw.ctl({"session", id, "--json"});
  EXPECT_TRUE(has(json, R"("channels":["room"],"data":{"lang":"de at","n":"1"})")) << json.output;
  EXPECT_EQ(gw.ctl({"session", std::string(32, 'a')}).status, 1);
}

TEST(Ctl, SessionIsShownWhileItsWorkerHangs) {
  Gateway gw({.workers = 1, .server = "hang_timeout = \"1h\"", .tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=lobby");
  kill(gw.worker(0), SIGSTOP);
  Finished shown = gw.ctl({"session", client.session()});
  Finished top = gw.ctl({"top", "--count", "1", "--interval", "100ms"});
  kill(gw.worker(0), SIGCONT);
  EXPECT_EQ(shown.status, 0);
  EXPECT_TRUE(has(shown, "127.0.0.1") && has(shown, "left out")) << shown.output;
  EXPECT_TRUE(has(top, "sessions 1 ") && has(top, "channels: no answer in time")) << top.output;
}

TEST(Ctl, RepeatWithAnIdDoesNothingASecondTime) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=lobby");
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(gw.ctl({"send", client.session(), "once", "--id", "order-1"}).status, 0);
  EXPECT_EQ(gw.ctl({"send", client.session(), "marker"}).status, 0);
  EXPECT_EQ(client.next_text(), "once");
  EXPECT_EQ(client.next_text(), "marker");
}

TEST(Ctl, BatchSaysWhichCommandsWereNotCarriedOut) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=room");
  Finished batch =
      gw.ctl({"batch", "-"}, R"({"commands":[{"op":"publish","channels":["room"],"data":"x"},)"
                             R"({"op":"nonsense"}]})");
  EXPECT_EQ(batch.status, 1);
  EXPECT_TRUE(has(batch, "1 of 2 commands") && has(batch, "command 2:")) << batch.output;
  EXPECT_EQ(client.next_text(), "x");
}

TEST(Ctl, TooLargeAMessageNamesTheLimit) {
  Gateway gw({.tables = relay_ws()});
  Finished message = gw.ctl({"publish", "room", "-"}, std::string(100'000, 'x'));
  EXPECT_EQ(message.status, 1);
  EXPECT_TRUE(has(message, "max_message_size")) << message.output;
  Finished body = gw.ctl({"publish", "room", "-"}, std::string(2 << 20, 'x'));
  EXPECT_EQ(body.status, 1);
  EXPECT_TRUE(has(body, "1 MiB")) << body.output;
}

TEST(Ctl, TopRanksSessionsAndChannels) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=room");
  Process top(
      {binary("HF_HOLDFASTCTL"), "-i", gw.instance(), "top", "--json", "--interval", "100ms"},
      gw.dir() + "/top.json");
  // Messages go on until a look has caught some of them.
  bool ranked = eventually([&] {
    client.send_text("x");
    EXPECT_EQ(client.next_text(), "x");
    std::string seen = read_file(gw.dir() + "/top.json");
    return seen.find("\"by_rate\":[{\"session\":\"" + client.session()) != std::string::npos &&
           seen.find("\"by_rate\":[{\"name\":\"room\"") != std::string::npos;
  });
  EXPECT_TRUE(ranked) << read_file(gw.dir() + "/top.json");
  top.signal(SIGINT);
  EXPECT_EQ(top.wait_for_end(timeout_ms()), 0);
}

TEST(Ctl, TraceShowsWhatHappensUntilItIsInterrupted) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=room", {0, 1});
  const std::string& id = clients[0].session();
  std::string file = gw.dir() + "/trace";
  Process trace({binary("HF_HOLDFASTCTL"), "-i", gw.instance(), "trace", "session", id}, file);
  // Every worker that serves has to hear of it.
  ASSERT_EQ(gw.counter_becomes("trace.active", 2), 2u);
  EXPECT_EQ(gw.ctl({"bind", id, "ann"}).status, 0);
  EXPECT_EQ(gw.ctl({"send", id, "hello"}).status, 0);
  EXPECT_EQ(gw.ctl({"kick", id}).status, 0);
  auto seen = [&](const char* text) {
    return eventually([&] { return read_file(file).find(text) != std::string::npos; });
  };
  EXPECT_TRUE(seen(" bind ") && seen("(ann) 5 B") && seen(" close ")) << read_file(file);
  trace.signal(SIGINT);
  EXPECT_EQ(trace.wait_for_end(timeout_ms()), 0);
}

TEST(Ctl, TraceGoesOnWithAnotherWorkerWhenItsOwnHasDied) {
  Gateway gw({.workers = 1, .tables = relay_ws()});
  std::string file = gw.dir() + "/trace";
  Process trace(
      {binary("HF_HOLDFASTCTL"), "-i", gw.instance(), "trace", "channel", "room", "--json"}, file);
  ASSERT_EQ(gw.counter_becomes("trace.active", 1), 1u);
  kill(gw.worker(0), SIGKILL);
  auto seen = [&](const char* text) {
    return eventually([&] { return read_file(file).find(text) != std::string::npos; });
  };
  EXPECT_TRUE(seen("interrupted")) << read_file(file);
  EXPECT_TRUE(eventually([&] {
    WsClient client(gw.listener(), "/ws?channel=room");
    client.send_text("x");
    EXPECT_EQ(client.next_text(), "x");
    return read_file(file).find("publish") != std::string::npos;
  })) << read_file(file);
  trace.signal(SIGTERM);
  EXPECT_EQ(trace.wait_for_end(timeout_ms()), 0);
}

TEST(Ctl, TraceOfNothingIsRefused) {
  Gateway gw({.tables = relay_ws()});
  Finished trace = gw.ctl({"trace", "session", "nonsense"});
  EXPECT_EQ(trace.status, 1);
  EXPECT_TRUE(has(trace, "400")) << trace.output;
  EXPECT_EQ(gw.ctl({"trace", "channel", "room", "--duration", "100ms"}).status, 0);
}

TEST(Ctl, HistoryIsShownAndFollowed) {
  Gateway gw({.tables = relay_ws("[[channel]]\npattern = \"kept*\"\nhistory_size = 10")});
  EXPECT_EQ(gw.ctl({"publish", "kept/1", "one"}).status, 0);
  EXPECT_EQ(gw.ctl({"publish", "kept/1", "two"}).status, 0);
  Finished all = gw.ctl({"history", "kept/1"});
  EXPECT_EQ(all.status, 0) << all.output;
  EXPECT_TRUE(has(all, "  one\n") && has(all, "  two\n")) << all.output;
  Finished last = gw.ctl({"history", "kept/1", "--reverse", "--limit", "1", "--json"});
  EXPECT_TRUE(has(last, "\"data\":\"two\"") && has(last, "\"more\":true")) << last.output;
  EXPECT_FALSE(has(last, "one")) << last.output;
  Finished plain = gw.ctl({"history", "plain"});
  EXPECT_EQ(plain.status, 1);
  EXPECT_TRUE(has(plain, "no_history")) << plain.output;

  std::string file = gw.dir() + "/history";
  Process follow({binary("HF_HOLDFASTCTL"), "-i", gw.instance(), "history", "kept/1", "--follow"},
                 file);
  auto seen = [&](const char* text) {
    return eventually([&] { return read_file(file).find(text) != std::string::npos; });
  };
  EXPECT_TRUE(seen("  two\n")) << read_file(file);
  EXPECT_EQ(gw.ctl({"publish", "kept/1", "three"}).status, 0);
  EXPECT_TRUE(seen("  three\n")) << read_file(file);
  follow.signal(SIGINT);
  EXPECT_EQ(follow.wait_for_end(timeout_ms()), 0);
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
  Finished unknown = run({binary("HF_HOLDFASTCTL"), "no-such-command"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_TRUE(has(unknown, "no-such-command")) << unknown.output;
  EXPECT_EQ(run({binary("HF_HOLDFASTCTL"), "-i", "no-such-instance", "stats"}).status, 3);
  Finished json = run({binary("HF_HOLDFASTCTL"), "-i", "no-such-instance", "users", "--json"});
  EXPECT_EQ(json.status, 3);
  EXPECT_TRUE(json.output.starts_with("{\"error\":{\"code\":\"no_instance\"")) << json.output;
  EXPECT_EQ(std::count(json.output.begin(), json.output.end(), '\n'), 1) << json.output;
}

TEST(Ctl, OutputThatCannotBeWrittenIsAFailure) {
  Gateway gw({.tables = relay_ws()});
  std::string tool = binary("HF_HOLDFASTCTL") + " -i " + gw.instance() + " ";
  for (const char* command : {"stats", "sessions", "channels --json", "--help", "--version",
                              "top --count 1 --interval 100ms", "publish room x"}) {
    Finished full = run({"/bin/sh", "-c", tool + command + " >/dev/full"});
    EXPECT_EQ(full.status, 1) << command;
    EXPECT_TRUE(has(full, "write to stdout")) << command << ": " << full.output;
    EXPECT_EQ(run({"/bin/sh", "-c", tool + command + " >&-"}).status, 1) << command;
  }
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
