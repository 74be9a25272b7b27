// A client that was cut off comes back, at whichever worker, over reloads and upgrades, and misses nothing.

#include <gtest/gtest.h>

#include <deque>

#include "tests/system/returning.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

TEST(Resume, SilenceDetachesTooAndTheGoodbyeComesWithIt) {
  Gateway gw(
      {.workers = 1,
       .tables = echo_ws("ping_interval = \"0s\"\nidle_timeout = \"300ms\"\n" + resuming())});
  Returning client(gw, 1);
  EXPECT_EQ(client.client().wait_close(), 1001);
  EXPECT_EQ(gw.counter("sessions.detached"), 1u);
  client.come_back();
  EXPECT_TRUE(client.resumed());
}

TEST(Resume, ACloseFrameEndsTheSession) {
  Gateway gw({.workers = 1, .tables = echo_ws(resuming())});
  Returning client(gw, 1);
  client.client().close();
  ASSERT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter("sessions.detached"), 0u);
  client.come_back();
  EXPECT_FALSE(client.resumed());
}

TEST(Resume, ASecondConnectionTakesOver) {
  Gateway gw({.workers = 3, .tables = echo_ws(resuming())});
  Returning client(gw, 1);
  client.client().send_text("one");
  EXPECT_EQ(client.next(), "one");
  WsClient first = std::move(client.client());
  client.come_back();
  EXPECT_TRUE(client.resumed());
  EXPECT_EQ(first.wait_close(), 4409);
  EXPECT_EQ(gw.counter("resume.taken_over"), 1u);
  client.client().send_text("two");
  EXPECT_EQ(client.next(), "two");
  EXPECT_EQ(gw.counter("sessions.opened"), 1u);
}

TEST(Resume, BadInputChangesNothing) {
  Gateway gw({.workers = 1, .tables = echo_ws(resuming())});
  Returning client(gw, 1);
  auto refused = [&](const std::string& query) {
    try {
      WsClient let_in(gw.listener(), "/ws?" + query);
    } catch (const Refused& e) {
      return e.answer.status;
    }
    return 101;
  };
  const std::string& key = client.key();
  EXPECT_EQ(refused("resume="), 400);
  EXPECT_EQ(refused("resume=short"), 400);
  EXPECT_EQ(refused("resume=" + key + "A"), 400);
  EXPECT_EQ(refused("resume=" + key.substr(0, 21) + "B"), 400) << "bits beyond 128";
  EXPECT_EQ(refused("resume=" + key.substr(0, 21) + "%2B"), 400);
  EXPECT_EQ(refused("resume=" + key + "&resume=" + key_number(2)), 400);
  EXPECT_EQ(refused("resume=" + key + "&seen=-1"), 400);
  EXPECT_EQ(refused("resume=" + key + "&seen=1x"), 400);
  EXPECT_EQ(refused("resume=" + key + "&seen=99999999999999999999"), 400);
  EXPECT_EQ(refused("resume=" + key + "&seen=0&session=what"), 400);
  EXPECT_EQ(gw.counter("resume.bad_key"), 10u);
  // One that has seen more than was sent gets a session that cannot be resumed.
  WsClient ahead(gw.listener(), "/ws?resume=" + key + "&seen=7");
  EXPECT_NE(ahead.next_text().find("\"resumed\":false,\"seen\":0,\"window\":0}"),
            std::string::npos);
  EXPECT_EQ(gw.counter("resume.ahead"), 1u);
  client.client().send_text("untouched");
  EXPECT_EQ(client.next(), "untouched");
  EXPECT_EQ(gw.counter("resume.taken_over"), 0u);
}

TEST(Resume, AClientThatHasNotHeardOfItsSessionGetsAllOfIt) {
  Gateway gw({.workers = 1, .tables = echo_ws(resuming())});
  Returning client(gw, 1);
  push(gw, client, "first");
  std::string wrong = "0123456789abcdef0123456789abcdef";
  client.cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 1), 1u);
  WsClient back(gw.listener(), "/ws?resume=" + client.key() + "&seen=1&session=" + wrong);
  EXPECT_EQ(back.next_text(), "{\"holdfast\":{\"session\":\"" + client.session() +
                                  "\",\"resumed\":false,\"seen\":0,\"window\":60}}");
  EXPECT_EQ(back.next_text(), "first");
}

TEST(Resume, WithoutAKeyNothingIsDifferent) {
  Gateway gw({.workers = 1, .tables = echo_ws(resuming())});
  WsClient client(gw.listener(), "/ws");
  client.send_text("one");
  EXPECT_EQ(client.next_text(), "one");
  EXPECT_EQ(gw.counter("resume.sessions"), 0u);
  client.stream().close();
  ASSERT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter("sessions.detached"), 0u);
}

// Whichever worker they arrive at, all find their sessions, by their names or by the filter alone.
TEST(Resume, ComeBackAtAnotherWorker) {
  Gateway gw({.workers = 3, .tables = echo_ws(resuming())});
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 60; ++i) clients.emplace_back(gw, i);
  for (int round = 0; round < 3; ++round) {
    for (Returning& client : clients) client.cut();
    ASSERT_EQ(gw.counter_becomes("sessions.detached", 60), 60u);
    for (Returning& client : clients) push(gw, client, "missed");
    for (Returning& client : clients) {
      round == 1 ? client.come_back_by_count(client.seen()) : client.come_back();
      ASSERT_TRUE(client.resumed()) << client.hello();
      ASSERT_EQ(client.next(), "missed");
      client.client().send_text("here");
      ASSERT_EQ(client.next(), "here");
    }
  }
  EXPECT_EQ(gw.counter("sessions.opened"), 60u);
  EXPECT_EQ(gw.counter("resume.resumed"), 180u);
  EXPECT_GT(gw.counter("resume.passed_on"), 60u);
  EXPECT_EQ(gw.counter("resume.not_passed_on"), 0u);
  EXPECT_EQ(gw.counter("resume.unknown"), 0u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 60), 60u);
  EXPECT_EQ(gw.counter_becomes("bytes.unsent", 0), 0u);
}

// What they missed waits in many tails, and moves once.
TEST(Resume, OverReloads) {
  Gateway gw({.workers = 2, .tables = echo_ws("channels = [\"all\"]\n" + resuming())});
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 20; ++i) clients.emplace_back(gw, i);
  for (int round = 0; round < 3; ++round) {
    HttpAnswer sent = HttpClient(gw.api()).post("/v1/publish", publish_body({"all"}, "before"));
    ASSERT_NE(sent.body.find("\"delivered\":20"), std::string::npos) << sent.body;
    for (size_t i = 0; i < 10; ++i) clients[i].cut();  // the others are cut afterwards
    ASSERT_EQ(gw.counter_becomes("sessions.detached", 10), 10u);
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    for (size_t i = 10; i < 20; ++i) clients[i].cut();
    ASSERT_EQ(gw.counter_becomes("sessions.detached", 20), 20u);
    for (Returning& client : clients) push(gw, client, "after");
    for (Returning& client : clients) {
      client.come_back();
      ASSERT_TRUE(client.resumed()) << client.hello();
      ASSERT_EQ(client.next(), "before");
      ASSERT_EQ(client.next(), "after");
    }
  }
  EXPECT_EQ(gw.counter("sessions.opened"), 20u);
  EXPECT_EQ(gw.counter("sessions.closed"), 0u);
}

TEST(Resume, OverAnUpgrade) {
  Gateway gw({.workers = 2, .tables = echo_ws(resuming())});
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 20; ++i) clients.emplace_back(gw, i);
  for (Returning& client : clients) push(gw, client, "before");
  for (size_t i = 0; i < 10; ++i) clients[i].cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 10), 10u);
  Finished upgraded = gw.ctl({"upgrade"});
  ASSERT_EQ(upgraded.status, 0) << upgraded.output << gw.log();
  gw.attach();
  for (size_t i = 10; i < 20; ++i) clients[i].cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 20), 20u);
  for (Returning& client : clients) {
    client.come_back();
    ASSERT_TRUE(client.resumed()) << client.hello();
    ASSERT_EQ(client.next(), "before");
  }
  EXPECT_GT(gw.counter("resume.passed_on"), 0u);
  EXPECT_EQ(gw.counter("sessions.opened"), 20u);
}

// A window that a reload brings: the passages are made then.
TEST(Resume, SwitchedOnByAReload) {
  GatewayOptions options{.workers = 3, .tables = echo_ws()};
  Gateway gw(options);
  WsClient before(gw.listener(), "/ws?resume=" + key_number(99));
  options.tables = echo_ws(resuming());
  gw.write_config(options);
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 20; ++i) clients.emplace_back(gw, i);
  for (Returning& client : clients) client.cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 20), 20u);
  for (Returning& client : clients) {
    client.come_back();
    ASSERT_TRUE(client.resumed()) << client.hello();
  }
  before.send_text("plain");
  EXPECT_EQ(before.next_text(), "plain");
}

TEST(Resume, AWorkerThatDiesTakesOnlyItsOwnSessionsWithIt) {
  Gateway gw({.workers = 2, .tables = echo_ws(resuming())});
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 20; ++i) clients.emplace_back(gw, i);
  size_t there = 0;
  for (Returning& client : clients) there += gw.slot_of(client.session()) == 0;
  ASSERT_GT(there, 0u);
  ASSERT_LT(there, 20u);
  std::vector<bool> on_0;
  for (Returning& client : clients) on_0.push_back(gw.slot_of(client.session()) == 0);
  for (Returning& client : clients) client.cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 20), 20u);
  pid_t died = gw.worker(0);
  ASSERT_EQ(kill(died, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] {
    return gw.worker(0) != died && gw.worker(0) != 0 && gw.counter("sessions.crashed") == there;
  }));
  EXPECT_EQ(gw.counter("sessions.detached"), 20 - there);
  for (size_t i = 0; i < clients.size(); ++i) {
    clients[i].come_back();
    EXPECT_EQ(clients[i].resumed(), !on_0[i]) << clients[i].hello();
    clients[i].client().send_text("here");
    ASSERT_EQ(clients[i].next(), "here");
  }
}

// A request that is too long to be given away is refused, and its session waits on.
TEST(Resume, ARequestThatCannotBeGivenIsRefusedForNow) {
  Gateway gw(
      {.workers = 2, .limits = "max_header_size = \"256 KiB\"", .tables = echo_ws(resuming())});
  Returning client(gw, 1);
  client.cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", 1), 1u);
  std::string target = "/ws?resume=" + client.key() + "&seen=0";
  WsOptions endless{.headers = "X-Filler: " + std::string(200'000, 'x') + "\r\n"};
  ASSERT_TRUE(eventually([&] {
    try {
      WsClient found(gw.listener(), target, endless);  // it came to the right worker by itself
      found.stream().close();
    } catch (const Refused& e) {
      EXPECT_EQ(e.answer.status, 503);
      EXPECT_NE(e.answer.header("Retry-After"), "");
      return true;
    }
    return false;
  }));
  EXPECT_EQ(gw.counter("resume.not_passed_on"), 1u);
  EXPECT_EQ(gw.counter("sessions.opened"), 1u);
  client.come_back();
  EXPECT_TRUE(client.resumed());
}

// What is given to a worker that does not read waits in its socket, and what finds no room there waits here.
TEST(Resume, AWorkerThatStandsStillGetsItsClientsLater) {
  constexpr unsigned kClients = 800;
  Gateway gw({.workers = 2, .tables = echo_ws(resuming())});
  std::deque<Returning> clients;
  for (unsigned i = 0; i < kClients; ++i) clients.emplace_back(gw, i);
  for (Returning& client : clients) client.cut();
  ASSERT_EQ(gw.counter_becomes("sessions.detached", kClients), kClients);
  pid_t still = gw.worker(0);
  ASSERT_EQ(kill(still, SIGSTOP), 0);
  ASSERT_TRUE(eventually([&] { return is_stopped(still); }));
  std::deque<Stream> coming;
  for (Returning& client : clients) {
    coming.emplace_back(gw.listener())
        .write("GET /ws?resume=" + client.key() + "&seen=0 HTTP/1.1\r\nHost: x\r\n" +
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  }
  // Those of the worker that goes on are answered meanwhile.
  ASSERT_TRUE(eventually([&] { return gw.counter("resume.passed_on") > 50; }));
  ASSERT_EQ(kill(still, SIGCONT), 0);
  for (unsigned i = 0; i < kClients; ++i) {
    std::string head = coming[i].read_until("\"window\":60}}");
    ASSERT_NE(head.find(clients[i].session()), std::string::npos) << head;
    ASSERT_NE(head.find("\"resumed\":true"), std::string::npos) << head;
  }
  EXPECT_EQ(gw.counter("resume.resumed"), kClients);
  EXPECT_EQ(gw.counter("resume.not_passed_on"), 0u);
}

}  // namespace
}  // namespace holdfast::test
