// The relay refuses a hand-shake whose channels it cannot join: told, counted, logged.

#include "worker/backends/builtin.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast {
namespace {

class Relay : public ::testing::Test {
 protected:
  std::string answer_to(std::string_view query) {
    test::Peer peer = room_.connect(room_.web, relay_);
    peer.send(fmt::format(
        "GET /ws{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        query));
    EXPECT_TRUE(
        room_.turn_until([&] { return peer.received().find("\r\n\r\n") != std::string::npos; }));
    return peer.received();
  }
  uint64_t refused() { return room_.runtime.stats.handshakes_bad_channel.get(); }

  test::Instance instance_;
  test::Room room_{instance_};
  RelayBackend relay_{room_.runtime, room_.sessions, room_.router};
};

TEST_F(Relay, RefusalsAreToldAndCounted) {
  struct Case {
    std::string_view query, status, text;
  };
  uint64_t before = 0;
  for (const Case& c :
       {Case{"?channel=%zz", "400", "malformed percent escape"},
        Case{"?channel=a%01", "400", "control"}, Case{"", "400", "name a channel"}}) {
    std::string answer = answer_to(c.query);
    EXPECT_EQ(answer.substr(9, 3), c.status) << c.query;
    EXPECT_NE(answer.find(c.text), std::string::npos) << answer;
    EXPECT_EQ(refused(), ++before) << c.query;
  }
  EXPECT_TRUE(answer_to("?channel=a").starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(refused(), before);
}

TEST_F(Relay, TooManyChannelsAreRefused) {
  std::string query = "?channel=0";
  for (unsigned i = 1; i <= room_.config.limits.max_channels_per_session; ++i)
    query += fmt::format("&channel={}", i);
  EXPECT_EQ(answer_to(query).substr(9, 3), "400");
  EXPECT_EQ(refused(), 1u);
}

TEST_F(Relay, RulesSayWhereItsClientsMayBe) {
  conf::ChannelRule shut, quiet;
  shut.pattern = "shut.*";
  shut.subscribe = conf::Subscribe::backend;
  quiet.pattern = "quiet.*";
  quiet.publish = conf::ClientPublish::nobody;
  room_.config.channels = {shut, quiet};
  EXPECT_TRUE(answer_to("?channel=shut.a").starts_with("HTTP/1.1 101 ")) << "and told why";
  EXPECT_EQ(room_.runtime.stats.channels_kept_out.get(), 1u);
  test::Peer peer = room_.connect(room_.web, relay_);
  peer.send(
      "GET /ws?channel=quiet.a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  peer.send(test::frame(1, "hello"));
  std::string told = test::frame(
      1, R"({"holdfast":{"refused":{"channel":"quiet.a","reason":"publish"}}})", {.masked = false});
  EXPECT_TRUE(room_.turn_until([&] { return test::behind_101(peer) == told; })) << peer.received();
}

}  // namespace
}  // namespace holdfast
