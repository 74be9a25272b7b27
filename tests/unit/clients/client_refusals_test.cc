// Hand-shakes that are refused: each with its status and its reason's counter. And the subprotocols that others ask for.
#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast {
namespace {

using test::Peer;

class Refusals : public ::testing::Test {
 protected:
  // What is answered to a hand-shake at /ws with these lines more: its head.
  std::string answer_to(std::string_view more, std::string_view target = "/ws") {
    Peer peer = room_.connect(room_.web, room_.backend);
    peer.send("GET " + std::string(target) +
              " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
              std::string(more) + "\r\n");
    EXPECT_TRUE(
        room_.turn_until([&] { return peer.received().find("\r\n\r\n") != std::string::npos; }));
    return peer.received();
  }
  void expect_refused(std::string_view more, int status, const shm::Cell& counter,
                      std::string_view target = "/ws") {
    uint64_t before = counter.get(), refused = stats().handshakes_refused.get();
    std::string answer = answer_to(more, target);
    EXPECT_EQ(answer.substr(9, 3), std::to_string(status)) << more << target;
    EXPECT_EQ(counter.get(), before + 1) << more << target;
    EXPECT_EQ(stats().handshakes_refused.get(), refused + 1);
  }
  void expect_spoken(std::string_view offer, std::string_view spoken) {
    std::string answer = answer_to(offer);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << offer << answer;
    std::string line = "Sec-WebSocket-Protocol: " + std::string(spoken) + "\r\n";
    if (spoken.empty()) line = "Sec-WebSocket-Protocol";
    EXPECT_EQ(answer.find(line) == std::string::npos, spoken.empty()) << offer << answer;
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
};

TEST_F(Refusals, AreCountedByReason) {
  room_.web.origins = {};
  expect_refused("", 404, stats().handshakes_bad_path, "/elsewhere");
  expect_refused("Origin: https://y\r\n", 403, stats().handshakes_bad_origin);
  expect_refused("Sec-WebSocket-Version: 12\r\n", 426, stats().handshakes_bad_request);
  expect_refused("Sec-WebSocket-Extensions: =\r\nHost: x\r\n", 400, stats().handshakes_bad_request);
  expect_refused("X-User: a\r\nX.User: b\r\n", 400, stats().handshakes_bad_headers);
  expect_refused("Authorization: a\r\nAuthorization: b\r\n", 400, stats().handshakes_bad_headers);
  room_.web.origins = {"https://a.example", "https://b.example"};
  expect_refused("Origin: https://y\r\n", 403, stats().handshakes_bad_origin);
  EXPECT_TRUE(answer_to("Origin: https://B.example:443\r\n").starts_with("HTTP/1.1 101 "));
  room_.web.subprotocols = {"mqtt"};
  expect_refused("Sec-WebSocket-Protocol: stomp\r\n", 400, stats().handshakes_bad_subprotocol);
}

TEST_F(Refusals, WhileTheServerStopsHaveTheirCounterToo) {
  room_.runtime.stopping = true;
  expect_refused("", 503, stats().handshakes_stopping);
}

// Browsers break off where they have offered some and the answer names none.
TEST_F(Refusals, TheListenersSubprotocolsAreChosenFromTheOffer) {
  expect_spoken("Sec-WebSocket-Protocol: mqtt\r\n", "");
  room_.web.subprotocols = {"graphql-transport-ws", "mqtt"};
  expect_spoken("Sec-WebSocket-Protocol: mqtt\r\n", "mqtt");
  expect_spoken("Sec-WebSocket-Protocol: mqtt, graphql-transport-ws\r\n", "graphql-transport-ws");
  expect_spoken("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: mqtt,a.long-token_1\r\n",
                "mqtt");
  expect_spoken("", "");
}

}  // namespace
}  // namespace holdfast
