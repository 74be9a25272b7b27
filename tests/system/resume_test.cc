// Sessions that outlive their connections, as an application sees them: not at all, until they end.

#include <gtest/gtest.h>

#include <deque>

#include "tests/harness/fpm.h"
#include "tests/system/returning.h"
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
