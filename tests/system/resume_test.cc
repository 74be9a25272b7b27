// Sessions that outlive their connections: a client that was cut off comes back, at whichever worker, and misses nothing; the
// application hears nothing of it.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

const char* const kApp = R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
$body = file_get_contents('php://input');
file_put_contents(LOGFILE, $event . ' ' . $_SERVER['SESSIONID'] . ' ' . ($event === 'close' ? $_SERVER['HOLDFAST_REASON'] : $body)
    . ' uri=' . $_SERVER['REQUEST_URI'] . ' query=' . $_SERVER['QUERY_STRING'] . "\n", FILE_APPEND | LOCK_EX);
if ($event === 'connect') { header('Holdfast-User: u1'); header('Holdfast-Join: room'); exit; }
if ($event === 'close') exit;
if (strtok($body, ' ') === 'sleep') { usleep(1000 * (int) strtok(' ')); echo 'slept'; exit; }
echo $body;
)PHP";

size_t lines_with(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

// 22 digits of base64url that are 16 bytes.
std::string key_number(unsigned n) {
  return fmt::format("Holdfast-tests_{:06}A", n);
}

std::string resuming(const std::string& window = "60s", const std::string& more = {}) {
  return "resume = \"" + window + "\"\n" + more;
}

// As the client of an application would do it: keeps key, session and count.
class Returning {
 public:
  Returning(Gateway& gw, unsigned number, std::string query = {})
      : gw_(gw), key_(key_number(number)), query_(std::move(query)) {
    open("");
  }
  void come_back() { open(fmt::format("&seen={}&session={}", seen_, session_)); }
  // Without the session's name, as the simplest client does it.
  void come_back_by_count(uint64_t seen) { open(fmt::format("&seen={}", seen)); }
  std::string next() {
    std::string text = client().next_text();
    ++seen_;
    return text;
  }
  // By a reset: no close frame, no end of file.
  void cut() {
    linger hard{1, 0};
    ASSERT_EQ(setsockopt(client().stream().fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    client().stream().close();
  }
  WsClient& client() { return *client_; }
  bool resumed() const { return hello_.find("\"resumed\":true") != std::string::npos; }
  const std::string& hello() const { return hello_; }
  const std::string& session() const { return session_; }
  const std::string& key() const { return key_; }
  uint64_t seen() const { return seen_; }

 private:
  void open(const std::string& more) {
    client_.emplace(gw_.listener(), "/ws?resume=" + key_ + more + query_);
    hello_ = client_->next_text();
    std::string before = std::exchange(session_, client_->session());
    EXPECT_NE(hello_.find("\"session\":\"" + session_ + "\""), std::string::npos) << hello_;
    if (before != session_) seen_ = 0;
  }

  Gateway& gw_;
  std::string key_, query_, hello_, session_;
  uint64_t seen_ = 0;
  std::optional<WsClient> client_;
};

void push(Gateway& gw, const Returning& to, const std::string& text) {
  HttpAnswer answer = HttpClient(gw.api()).post("/v1/send", send_body({to.session()}, text));
  ASSERT_NE(answer.body.find("\"delivered\":1"), std::string::npos) << answer.body;
}

void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

class ResumeWithPhp : public testing::Test {
 protected:
  void start(unsigned workers, const std::string& listen = resuming()) {
    gateway_ = std::make_unique<Gateway>(GatewayOptions{
        .workers = workers, .tables = app_ws(listen) + fpm_.backend(), .log_level = "debug"});
  }
  Gateway& gw() { return *gateway_; }
  size_t events(const std::string& name) { return lines_with(fpm_.app_log(), name + " "); }

  Fpm fpm_{kApp};
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(ResumeWithPhp, WhatWasMissedComesOnceInOrderAndTheApplicationHearsNothing) {
  start(1);
  Returning client(gw(), 1);
  EXPECT_EQ(client.hello(), "{\"holdfast\":{\"session\":\"" + client.session() +
                                "\",\"resumed\":false,\"seen\":0,\"window\":60}}");
  push(gw(), client, "one");
  push(gw(), client, "two");
  EXPECT_EQ(client.next(), "one");
  client.cut();  // "two" was sent, and not seen
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  EXPECT_EQ(gw().counter("sessions.online"), 0u);
  std::string shown = gw().ctl({"sessions"}).output;
  EXPECT_NE(shown.find("detached"), std::string::npos) << shown;
  push(gw(), client, "three");
  HttpClient api(gw().api());
  HttpAnswer published = api.post("/v1/publish", publish_body({"room"}, "four"));
  EXPECT_NE(published.body.find("\"delivered\":1"), std::string::npos) << published.body;
  HttpAnswer user = api.post("/v1/send-user", R"({"users":["u1"],"data":"five"})");
  EXPECT_NE(user.body.find("\"delivered\":1"), std::string::npos) << user.body;
  client.come_back();
  EXPECT_TRUE(client.resumed()) << client.hello();
  EXPECT_NE(client.hello().find("\"seen\":1"), std::string::npos);
  for (const char* text : {"two", "three", "four", "five"}) ASSERT_EQ(client.next(), text);
  client.client().send_text("still there");
  EXPECT_EQ(client.next(), "still there");
  EXPECT_EQ(gw().counter("sessions.online"), 1u);
  EXPECT_EQ(gw().counter("sessions.detached"), 0u);
  EXPECT_EQ(gw().counter("sessions.opened"), 1u);
  EXPECT_EQ(gw().counter("resume.resumed"), 1u);
  EXPECT_EQ(events("connect"), 1u);
  EXPECT_EQ(events("close"), 0u);
  client.client().close();
  ASSERT_TRUE(eventually([&] { return events("close") == 1; }));
  EXPECT_NE(fpm_.app_log().find("client closed"), std::string::npos);
  EXPECT_EQ(gw().counter_becomes("resume.kept_bytes", 0), 0u);
  EXPECT_EQ(gw().counter("resume.sessions"), 0u);
}

TEST_F(ResumeWithPhp, AnAnswerOfTheApplicationWaitsForItsClient) {
  start(1);
  Returning client(gw(), 1);
  client.client().send_text("sleep 500");
  ASSERT_EQ(gw().counter_becomes("messages.in", 1), 1u);
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  ASSERT_EQ(gw().counter_becomes("messages.out", 1), 1u);
  client.come_back();
  EXPECT_TRUE(client.resumed());
  EXPECT_EQ(client.next(), "slept");
}

TEST_F(ResumeWithPhp, KeysAreInNoLogAndNotForTheApplication) {
  start(1);
  Returning client(gw(), 1, "&name=alice");
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  client.come_back();
  std::string bad = client.key().substr(0, 21) + "_";  // not a whole number of bytes
  EXPECT_THROW(WsClient(gw().listener(), "/ws?resume=" + bad), Refused);
  client.client().send_text("hello");
  EXPECT_EQ(client.next(), "hello");
  std::string part = client.key().substr(0, 12);
  EXPECT_EQ(gw().log().find(part), std::string::npos);
  EXPECT_EQ(fpm_.app_log().find(part), std::string::npos);
  EXPECT_NE(fpm_.app_log().find("uri=/ws?name=alice query=name=alice"), std::string::npos)
      << fpm_.app_log();
}

TEST_F(ResumeWithPhp, AfterTheWindowTheCloseEventComesAndTheClientIsTold) {
  start(1, resuming("200ms"));
  Returning client(gw(), 1);
  std::string old = client.session();
  client.cut();
  ASSERT_EQ(gw().counter_becomes("resume.expired", 1), 1u);
  ASSERT_TRUE(eventually([&] { return events("close") == 1; }));
  EXPECT_NE(fpm_.app_log().find("close " + old + " connection lost"), std::string::npos);
  client.come_back();
  EXPECT_FALSE(client.resumed());
  EXPECT_NE(client.session(), old);
  EXPECT_EQ(gw().counter("resume.unknown"), 1u);
  EXPECT_EQ(gw().counter("sessions.detached"), 0u);
}

TEST_F(ResumeWithPhp, MoreThanIsKeptEndsTheSessionAtOnce) {
  start(1, resuming("60s", "resume_buffer = \"4 KiB\""));
  Returning client(gw(), 1);
  std::string old = client.session();
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  HttpClient api(gw().api());
  for (int i = 0; i < 10; ++i) (void)api.post("/v1/send", send_body({old}, std::string(1000, 'x')));
  ASSERT_TRUE(eventually([&] { return events("close") == 1; }));
  EXPECT_EQ(gw().counter("resume.overflowed"), 1u);
  EXPECT_EQ(gw().counter("resume.kept_bytes"), 0u);
  client.come_back();
  EXPECT_FALSE(client.resumed());
}

TEST_F(ResumeWithPhp, HavingMissedTooMuchMeansANewSession) {
  start(1, resuming("60s", "resume_buffer = \"4 KiB\""));
  Returning client(gw(), 1);
  std::string old = client.session();
  for (int i = 0; i < 10; ++i) push(gw(), client, std::string(1000, char('a' + i)));
  for (int i = 0; i < 10; ++i) (void)client.next();
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  client.come_back_by_count(5);
  EXPECT_FALSE(client.resumed());
  EXPECT_NE(client.session(), old);
  EXPECT_EQ(gw().counter("resume.too_old"), 1u);
  ASSERT_TRUE(eventually([&] { return events("close") == 1; }));
  EXPECT_NE(fpm_.app_log().find("close " + old + " connection lost"), std::string::npos);
}

TEST_F(ResumeWithPhp, KickedWhileAway) {
  start(2);
  Returning client(gw(), 1);
  std::string old = client.session();
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  HttpAnswer kicked = HttpClient(gw().api()).post("/v1/kick", "{\"sessions\":[\"" + old + "\"]}");
  EXPECT_NE(kicked.body.find("\"delivered\":1"), std::string::npos) << kicked.body;
  ASSERT_TRUE(eventually([&] { return events("close") == 1; }));
  EXPECT_NE(fpm_.app_log().find("close " + old + " kicked"), std::string::npos);
  client.come_back();
  EXPECT_FALSE(client.resumed());
}

TEST_F(ResumeWithPhp, AStopEndsThoseThatAreAway) {
  start(1);
  Returning client(gw(), 1), other(gw(), 2);
  client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1), 1u);
  EXPECT_EQ(gw().stop(), 0);
  EXPECT_EQ(lines_with(fpm_.app_log(), "server stopping"), 2u);
}

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

TEST_F(ResumeWithPhp, AThousandClientsThatAreCutAreNoNewsToTheApplication) {
  start(2);
  std::deque<Returning> clients;
  for (unsigned i = 0; i < 1'000; ++i) clients.emplace_back(gw(), i);
  ASSERT_EQ(gw().counter_becomes("sessions.online", 1'000), 1'000u);
  uint64_t requests = gw().counter("backend.requests");
  for (Returning& client : clients) client.cut();
  ASSERT_EQ(gw().counter_becomes("sessions.detached", 1'000), 1'000u);
  HttpAnswer published = HttpClient(gw().api()).post("/v1/publish", publish_body({"room"}, "news"));
  EXPECT_NE(published.body.find("\"delivered\":1000"), std::string::npos) << published.body;
  for (Returning& client : clients) {
    client.come_back();
    ASSERT_TRUE(client.resumed()) << client.hello();
  }
  for (Returning& client : clients) ASSERT_EQ(client.next(), "news");
  EXPECT_EQ(gw().counter("backend.requests"), requests);
  EXPECT_EQ(gw().counter("resume.resumed"), 1'000u);
  EXPECT_EQ(events("connect"), 1'000u);
  EXPECT_EQ(events("close"), 0u);
}

}  // namespace
}  // namespace holdfast::test
