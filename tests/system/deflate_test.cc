// permessage-deflate (RFC 7692) through real workers: both ways, over workers, reloads and an upgrade.
#include <gtest/gtest.h>

#include <set>

#include "tests/harness/deflate_peer.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

const WsOptions kOffer{
    .headers = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"};
const std::string kAlone = "permessage_deflate = { min_size = \"1 B\" }";
const std::string kTakeover =
    "permessage_deflate = { min_size = \"1 B\", client_no_context_takeover = false }";

std::string next_inflated(WsClient& client) {
  std::optional<WsFrame> frame = client.next_frame();
  if (!frame) return "(ended)";
  return frame->deflated ? peer_inflate(frame->payload) : "(plain) " + frame->payload;
}

void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

TEST(Deflate, EchoesDeflatedMessagesOfEveryLength) {
  Gateway gw({.tables = echo_ws(kAlone)});
  WsClient client(gw.listener(), "/ws", kOffer);
  EXPECT_EQ(client.handshake().header("Sec-WebSocket-Extensions"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  for (size_t bytes : {10, 125, 126, 1000, 65'536}) {
    std::string text(bytes, 'e');
    client.send_frame(0x41, PeerDeflater().message(text));
    EXPECT_EQ(next_inflated(client), text);
  }
  client.send_frame(0x41, std::string(1, '\0'));
  EXPECT_EQ(next_inflated(client), "(plain) ");
  EXPECT_EQ(gw.counter_becomes("ws.inflated", 6), 6u);
  EXPECT_EQ(gw.counter("ws.deflated"), 5u);
  EXPECT_EQ(gw.counter("ws.negotiated"), 1u);
}

TEST(Deflate, APublishedMessageIsDeflatedOnceInEachWorker) {
  Gateway gw({.tables = relay_ws(kAlone)});
  std::vector<WsClient> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(gw.listener(), "/ws?channel=all", kOffer);
  WsClient plain(gw.listener(), "/ws?channel=all");
  std::set<uint16_t> workers;
  for (const WsClient& client : clients) workers.insert(gw.slot_of(client.session()));
  std::string text(500, 'p');
  HttpClient api(gw.api());
  EXPECT_EQ(api.post("/v1/publish", R"({"channels":["all"],"data":")" + text + "\"}").status, 200);
  for (WsClient& client : clients) EXPECT_EQ(next_inflated(client), text);
  EXPECT_EQ(plain.next_text(), text);
  EXPECT_EQ(gw.counter("ws.deflated"), workers.size());
}

TEST(Deflate, WhatBreaksTheRulesIsClosedWithItsCode) {
  Gateway gw({.tables = echo_ws(kAlone)});
  struct Row {
    const char* what;
    uint8_t opcode;
    std::string payload;
    uint16_t code;
  };
  std::string bomb = PeerDeflater().message(std::string(10 << 20, '\0'));
  for (const Row& row :
       {Row{"a bomb", 0x42, bomb, 1009}, Row{"not deflated", 0x42, "\xff\xff", 1007},
        Row{"no text", 0x41, PeerDeflater().message("\xff"), 1007},
        Row{"a deflated ping", 0x49, PeerDeflater().message("x"), 1002},
        Row{"RSV2", 0x21, "x", 1002}}) {
    WsClient client(gw.listener(), "/ws", kOffer);
    client.send_frame(row.opcode, row.payload);
    EXPECT_EQ(client.wait_close(), row.code) << row.what;
  }
  EXPECT_EQ(gw.counter("ws.inflate_too_long"), 1u);
  EXPECT_EQ(gw.counter("ws.inflate_failed"), 1u);
  EXPECT_EQ(gw.counter("sessions.closed_protocol"), 5u);
}

// Half a message before each reload, what refers back to it behind it.
TEST(Deflate, ContextGoesOnOverReloadsAndAnUpgrade) {
  Gateway gw({.tables = echo_ws(kTakeover)});
  WsClient client(gw.listener(), "/ws", kOffer);
  PeerDeflater deflater;
  std::string text = "the same words again and again";
  for (int round = 0; round < 4; ++round) {
    std::string message = deflater.message(text);
    EXPECT_TRUE(round == 0 || message.size() < 8) << "it does refer back";
    client.send_frame(0x41, message.substr(0, 2), false);
    // It was read before the move, so that half a message moves.
    client.send_frame(9, "read");
    std::optional<WsFrame> pong = client.next_frame();
    ASSERT_TRUE(pong && pong->opcode == 10);
    if (round < 3) {
      ASSERT_NO_FATAL_FAILURE(reload(gw));
    } else {
      EXPECT_EQ(gw.ctl({"upgrade"}).status, 0);
    }
    client.send_frame(0, message.substr(2));
    EXPECT_EQ(next_inflated(client), text);
  }
  gw.attach();
  EXPECT_EQ(gw.counter("ws.window_bytes"), 4 * text.size());
  client.stream().close();
  EXPECT_EQ(gw.counter_becomes("ws.window_bytes", 0), 0u);
}

}  // namespace
}  // namespace holdfast::test
