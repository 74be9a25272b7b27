// Which channels clients get into by their URL: the application is asked, tokens are looked at, and those kept out are told.

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

const char* const kApp = R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
$channel = $_SERVER['HOLDFAST_CHANNEL'] ?? '';
file_put_contents(LOGFILE, "$event $channel\n", FILE_APPEND | LOCK_EX);
if ($event !== 'subscribe') { echo file_get_contents('php://input'); exit; }
if ($channel === 'ask.slow') { while (!file_exists(LOGFILE . '.go')) usleep(10000); }
if ($channel === 'ask.no') http_response_code(403);
)PHP";

const char* const kRules =
    "[[channel]]\npattern = \"ask.*\"\nsubscribe = \"backend\"\n"
    "[[channel]]\npattern = \"open.*\"\nsubscribe = \"anyone\"\n"
    "[[channel]]\npattern = \"shut.*\"\nsubscribe = \"nobody\"\n";

std::string tables(const Fpm& fpm) {
  return app_ws("streams = [\"sse\"]") +
         fpm.backend("events = [\"connect\", \"close\", \"subscribe\"]") + kRules;
}

size_t times(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string refused(const std::string& channel, const std::string& reason) {
  return R"({"holdfast":{"refused":{"channel":")" + channel + R"(","reason":")" + reason +
         R"("}}})";
}

void publish(Gateway& gw, const std::string& channel, const std::string& text) {
  ASSERT_EQ(HttpClient(gw.api()).post("/v1/publish", publish_body({channel}, text)).status, 200);
}

void ask_for_events(Stream& stream, const std::string& one, const std::string& other) {
  stream.write("GET /ws?channel=" + one + "&channel=" + other +
               " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
}
void expect_begun(Stream& stream) {
  EXPECT_TRUE(stream.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(stream.read_until("\n\n").starts_with("retry: "));
}

TEST(Permits, TheApplicationSaysWhoMayJoin) {
  Fpm fpm(kApp);
  Gateway gw({.tables = tables(fpm)});
  WsClient client(gw.listener(),
                  "/ws?channel=ask.a&channel=ask.no&channel=open.b&channel=shut.c&channel=ask.a");
  EXPECT_EQ(client.next_text(), refused("ask.no", "backend"));
  EXPECT_EQ(client.next_text(), refused("shut.c", "nobody"));
  for (const char* channel : {"ask.no", "shut.c", "ask.a", "open.b"}) publish(gw, channel, channel);
  EXPECT_EQ(client.next_text(), "ask.a");
  EXPECT_EQ(client.next_text(), "open.b");
  client.send_text("echo");
  EXPECT_EQ(client.next_text(), "echo");
  EXPECT_EQ(times(fpm.app_log(), "subscribe ask.a\n"), 1u);
  EXPECT_EQ(gw.counter("events.subscribe"), 2u);
  EXPECT_EQ(gw.counter("channels.kept_out"), 2u);
}

TEST(Permits, StreamsOfEventsAreToldAsWell) {
  Fpm fpm(kApp);
  Gateway gw({.tables = tables(fpm)});
  Stream stream(gw.listener());
  ask_for_events(stream, "ask.a", "ask.no");
  expect_begun(stream);
  EXPECT_EQ(stream.read_until("\n\n"),
            "event: holdfast.refused\ndata: {\"channel\":\"ask.no\",\"reason\":\"backend\"}\n\n");
  publish(gw, "ask.a", "hello");
  EXPECT_EQ(stream.read_until("\n\n"), "data: hello\n\n");
}

TEST(Permits, AClientThatIsBeingAskedForLivesOverReloads) {
  Fpm fpm(kApp);
  Gateway gw({.tables = tables(fpm)});
  Stream stream(gw.listener());
  ask_for_events(stream, "ask.slow", "ask.b");
  ASSERT_TRUE(eventually([&] { return times(fpm.app_log(), "subscribe ask.slow\n") == 1; }));
  for (int i = 0; i < 2; ++i) {
    uint64_t next = gw.generation() + 1;
    gw.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
  }
  std::ofstream(fpm.log_file() + ".go") << "go";
  expect_begun(stream);
  for (const char* channel : {"ask.slow", "ask.b"}) {
    publish(gw, channel, channel);
    EXPECT_EQ(stream.read_until("\n\n"), "data: " + std::string(channel) + "\n\n");
  }
  EXPECT_EQ(times(fpm.app_log(), "subscribe ask.slow\n"), 1u) << "asked once";
  EXPECT_EQ(gw.counter("events.subscribe"), 2u);
}

TEST(Permits, ClientsOfTheRelayAreLetInAndPublishByRule) {
  Gateway gw({.tables = relay_ws() + "[[channel]]\npattern = \"shut.*\"\nsubscribe = \"nobody\"\n" +
                        "[[channel]]\npattern = \"news.*\"\npublish = \"nobody\"\n"});
  WsClient reader(gw.listener(), "/ws?channel=news.a&channel=shut.b&channel=chat");
  EXPECT_EQ(reader.next_text(), refused("shut.b", "nobody"));
  reader.send_text("mine");
  EXPECT_EQ(reader.next_text(), refused("news.a", "publish"));
  EXPECT_EQ(reader.next_text(), "mine") << "in the other channel";
  publish(gw, "news.a", "the server's");
  EXPECT_EQ(reader.next_text(), "the server's");
}

}  // namespace
}  // namespace holdfast::test
