// Tokens and their scopes over HTTP and RESP, and what a publish to nobody costs.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr char kPusher[] = "pusher-0123456789abcdef";
constexpr char kReader[] = "reader-0123456789abcdef";
constexpr char kSecond[] = "second-0123456789abcdef";

void write_tokens(const std::string& file, const std::string& lines) {
  std::ofstream(file, std::ios::trunc) << lines;
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
}

int http_status(const std::string& address, const std::string& token, bool push) {
  HttpClient client(address);
  std::string header = "Authorization: Bearer " + token + "\r\n";
  return push ? client.request("POST", "/v1/publish", publish_body({"room"}, "x"), header).status
              : client.request("GET", "/v1/channels", {}, header).status;
}

// The first line of the answer to a command that follows AUTH, and AUTH's own where that fails.
std::string resp_answer(const std::string& address, const std::string& token,
                        const std::string& line) {
  Stream stream(address);
  stream.write("AUTH " + token + "\r\n");
  std::string first = stream.read_until("\r\n");
  if (first != "+OK\r\n") return first;
  stream.write(line + "\r\n");
  return stream.read_until("\r\n");
}

TEST(Tokens, HaveTheirScopesInBothProtocolsAndAreReadAnewAtAReload) {
  TempDir dir;
  std::string file = dir / "tokens";
  write_tokens(file, std::string(kPusher) + " push\n" + kReader + " query\n");
  std::string with_tokens = "address = \"127.0.0.1:0\"\ntoken_file = \"" + file + "\"\n";
  Gateway gw({.server = "drain_timeout = \"200ms\"",
              .tables = relay_ws() + "[[api]]\n" + with_tokens + "[[api]]\nprotocol = \"resp\"\n" +
                        with_tokens});
  const std::string http = gw.api(1), resp = gw.api(2);
  EXPECT_EQ(http_status(http, kPusher, true), 200);
  EXPECT_EQ(http_status(http, kPusher, false), 403);
  EXPECT_EQ(http_status(http, kReader, true), 403);
  EXPECT_EQ(http_status(http, kReader, false), 200);
  EXPECT_EQ(http_status(http, kSecond, true), 401);
  EXPECT_EQ(resp_answer(resp, kPusher, "PUBLISH room x"), ":0\r\n");
  EXPECT_TRUE(resp_answer(resp, kPusher, "PUBSUB CHANNELS").starts_with("-NOPERM"));
  EXPECT_TRUE(resp_answer(resp, kReader, "PUBLISH room x").starts_with("-NOPERM"));
  EXPECT_EQ(resp_answer(resp, kReader, "PUBSUB CHANNELS"), "*0\r\n");
  EXPECT_TRUE(resp_answer(resp, kSecond, "PING").starts_with("-WRONGPASS"));

  write_tokens(file, std::string(kSecond) + "\n");
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == 2; })) << gw.log();
  EXPECT_EQ(http_status(http, kSecond, true), 200);
  EXPECT_EQ(http_status(http, kPusher, true), 401);
  EXPECT_EQ(resp_answer(resp, kSecond, "PUBLISH room x"), ":0\r\n");
  EXPECT_TRUE(resp_answer(resp, kPusher, "PUBLISH room x").starts_with("-WRONGPASS"));

  write_tokens(file, "short\n");
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.log().find("token in line 1") != std::string::npos; }));
  EXPECT_EQ(gw.generation(), 2u);
  EXPECT_EQ(http_status(http, kSecond, true), 200);
}

TEST(Tokens, SubscriptionsAndTracesEndWithTheirTokenAtAReload) {
  TempDir dir;
  std::string file = dir / "tokens";
  write_tokens(file, std::string(kPusher) + "\n" + kReader + " query\n");
  std::string with_tokens = "address = \"127.0.0.1:0\"\ntoken_file = \"" + file + "\"\n";
  Gateway gw({.tables = relay_ws() + "[[api]]\n" + with_tokens + "[[api]]\nprotocol = \"resp\"\n" +
                        with_tokens});
  auto subscribe = [&](const char* token) {
    Stream stream(gw.api(2));
    stream.write(std::string("AUTH ") + token + "\r\nSUBSCRIBE room\r\n");
    stream.read_until(":1\r\n");
    return stream;
  };
  Stream revoked = subscribe(kPusher), kept = subscribe(kReader);
  Stream trace(gw.api(1));
  trace.write(
      std::string("GET /v1/trace?channel=room HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ") +
      kPusher + "\r\n\r\n");
  trace.read_until("\r\n\r\n");

  write_tokens(file, std::string(kSecond) + "\n" + kReader + " query\n");
  gw.signal(SIGHUP);
  EXPECT_TRUE(revoked.read_until("\r\n").starts_with("-NOAUTH "));
  EXPECT_TRUE(revoked.at_end());
  EXPECT_NE(trace.read_until("\r\n0\r\n\r\n").find("\"revoked\""), std::string::npos);
  EXPECT_TRUE(trace.at_end());
  EXPECT_EQ(gw.counter_becomes("api.revoked", 2), 2u);
  EXPECT_EQ(resp_answer(gw.api(2), kSecond, "PUBLISH room x"), ":1\r\n");
  EXPECT_TRUE(kept.read_until("x\r\n").starts_with("*3\r\n$7\r\nmessage"));
}

TEST(Push, ToAChannelWithoutMembersWakesNoWorker) {
  Gateway gw({.workers = 3, .tables = relay_ws()});
  HttpClient api(gw.api());
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(api.post("/v1/publish", publish_body({"nobody" + std::to_string(i)}, "x")).body,
              "{\"delivered\":0}");
  EXPECT_EQ(gw.counter("push.publish"), 100u);
  EXPECT_EQ(gw.counter("push.forwarded"), 0u);
  EXPECT_EQ(gw.counter("mailbox.doorbells"), 0u);
}

}  // namespace
}  // namespace holdfast::test
