// Clients with permessage-deflate: the hand-shake, what goes both ways, what it costs.
#include <gtest/gtest.h>

#include <map>

#include "tests/harness/deflate_peer.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast {
namespace {

using test::behind_101;
using test::frame;
using test::Peer;
using test::peer_inflate;
using test::PeerDeflater;

constexpr const char* kOffer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

class ClientDeflate : public ::testing::Test {
 protected:
  ClientDeflate() {
    room_.web.permessage_deflate = conf::PermessageDeflate{.min_size = 10};
    room_.config.limits.max_message_size = 20'000;
  }
  Peer web_client(std::string_view extensions = kOffer) {
    Peer peer = room_.connect(room_.web, room_.backend);
    test::shake_hands(peer, extensions);
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).empty(); })) << peer.received();
    return peer;
  }
  std::string extensions_of(Peer& peer) {
    const std::string& all = peer.received();
    size_t at = all.find("Sec-WebSocket-Extensions: ");
    return at == std::string::npos ? "" : all.substr(at + 26, all.find('\r', at) - at - 26);
  }
  void say(Peer& peer, std::string_view payload, unsigned opcode = 1) {
    peer.send(frame(opcode, payload, {.rsv = 4}));
  }
  bool hears(size_t messages) {
    return room_.turn_until([&] { return room_.backend.messages.size() == messages; });
  }
  bool push(Peer& peer, Payload& payload) {
    return room_.sessions.deliver(*room_.session_of(peer), payload, Urgency::urgent);
  }
  // The next bytes that came behind the 101, once there are so many.
  std::string next(Peer& peer, size_t bytes) {
    size_t& taken = taken_[&peer];
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).size() >= taken + bytes; }));
    std::string got = behind_101(peer).substr(taken);
    taken = behind_101(peer).size();
    return got;
  }
  // Of a message below 126 bytes.
  std::string next_deflated(Peer& peer) {
    std::string got = next(peer, 2);
    EXPECT_EQ(got[0], '\xc1');
    EXPECT_EQ(got.size(), 2 + size_t(uint8_t(got[1])));
    return peer_inflate(got.substr(2));
  }
  void expect_closed(Peer& peer, uint16_t code) {
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).size() >= 4; }));
    EXPECT_EQ(behind_101(peer).substr(0, 1), "\x88");
    EXPECT_EQ(load_be16(behind_101(peer).data() + 2), code);
    EXPECT_EQ(room_.backend.endings, std::vector{EndReason::protocol});
    peer.close();
    EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
    EXPECT_EQ(stats().ws_window_bytes.get(), 0u);
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
  std::map<Peer*, size_t> taken_;
};

TEST_F(ClientDeflate, IsNegotiatedWhereTheListenerHasItAndTheClientOffersIt) {
  Peer with = web_client(), without = web_client("");
  EXPECT_EQ(extensions_of(with),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  EXPECT_EQ(extensions_of(without), "");
  room_.web.permessage_deflate.reset();
  Peer off = web_client();
  EXPECT_EQ(extensions_of(off), "");
  EXPECT_EQ(stats().ws_negotiated.get(), 1u);
  for (Peer* peer : {&without, &off}) {
    say(*peer, PeerDeflater().message("a"));
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(*peer).size() >= 4; }));
    EXPECT_EQ(behind_101(*peer), frame(8, "\x03\xeareserved bit set", {.masked = false}));
  }
}

TEST_F(ClientDeflate, OffersThatCannotBeReadAreRefused) {
  Peer peer = room_.connect(room_.web, room_.backend);
  test::shake_hands(peer, "Sec-WebSocket-Extensions: permessage-deflate;\r\n");
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 400 ")) << peer.received();
}

TEST_F(ClientDeflate, MessagesGoBothWays) {
  Peer peer = web_client();
  std::string text(10'000, 'a');
  say(peer, PeerDeflater().message(text));
  peer.send(frame(1, "plain"));
  ASSERT_TRUE(hears(2));
  EXPECT_EQ(room_.backend.messages, (std::vector<std::string>{text, "plain"}));
  Payload payload(text, false);
  EXPECT_TRUE(push(peer, payload));
  EXPECT_EQ(next_deflated(peer), text);
  EXPECT_EQ(stats().ws_inflated.get(), 1u);
  EXPECT_EQ(stats().ws_inflated_from.get(), PeerDeflater().message(text).size());
  EXPECT_EQ(stats().ws_inflated_to.get(), text.size());
  EXPECT_EQ(stats().ws_deflated.get(), 1u);
  EXPECT_EQ(stats().ws_deflated_from.get(), text.size());
  EXPECT_LT(stats().ws_deflated_to.get(), 100u);
  EXPECT_EQ(stats().messages_in.get(), 2u);
}

TEST_F(ClientDeflate, AMessageIsDeflatedOnceForAllWhoCanShareIt) {
  Peer plain = web_client(""), one = web_client(), two = web_client(),
       small =
           web_client("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n");
  std::string text(256, 'x');
  Payload payload(text, false);
  for (Peer* peer : {&plain, &one, &two, &small}) EXPECT_TRUE(push(*peer, payload));
  EXPECT_EQ(next(plain, 256), frame(1, text, {.masked = false}));
  for (Peer* peer : {&one, &two, &small}) EXPECT_EQ(next_deflated(*peer), text);
  EXPECT_EQ(stats().ws_deflated.get(), 1u);
  // One more byte is more than the smallest window; it goes there as it is.
  std::string longer = text + "x";
  Payload other(longer, false);
  for (Peer* peer : {&one, &small}) EXPECT_TRUE(push(*peer, other));
  EXPECT_EQ(next_deflated(one), longer);
  EXPECT_EQ(next(small, 257), frame(1, longer, {.masked = false}));
  EXPECT_EQ(stats().ws_deflated.get(), 2u);
}

TEST_F(ClientDeflate, ShortLongAndVainMessagesGoAsTheyAre) {
  room_.web.send_queue = 10 << 20;
  Peer peer = web_client();
  std::string noise;
  for (uint32_t x = 1; noise.size() < 100; x = x * 1664525 + 1013904223) noise += char(x >> 24);
  std::string huge(1024 * 1024 + 1, 'x');
  for (const std::string& text : {std::string(9, 'x'), noise, huge}) {
    Payload payload(text, true);
    EXPECT_TRUE(push(peer, payload));
    EXPECT_TRUE(push(peer, payload));
    std::string expected = frame(2, text, {.masked = false});
    std::string got;
    while (got.size() < 2 * expected.size()) got += next(peer, 1);
    EXPECT_TRUE(got == expected + expected) << text.size();
  }
  EXPECT_EQ(stats().ws_deflate_vain.get(), 1u) << "tried once for all recipients";
  EXPECT_EQ(stats().ws_deflate_too_long.get(), 1u);
  EXPECT_EQ(stats().ws_deflated.get(), 0u);
}

TEST_F(ClientDeflate, ListenersOfOtherLevelsHaveFramesOfTheirOwn) {
  Peer one = web_client();
  conf::Listen best = room_.web;
  best.permessage_deflate->level = 9;
  Peer two = room_.connect(best, room_.backend);
  test::shake_hands(two, kOffer);
  ASSERT_TRUE(room_.turn_until([&] { return behind_101(two).empty(); }));
  std::string text(100, 'x');
  Payload payload(text, false);
  for (Peer* peer : {&one, &two, &one, &two}) EXPECT_TRUE(push(*peer, payload));
  EXPECT_EQ(stats().ws_deflated.get(), 2u);
}

TEST_F(ClientDeflate, BombsEndTheConnectionAndNotTheWorker) {
  Peer peer = web_client();
  std::string bomb = PeerDeflater().message(std::string(10 << 20, '\0'));
  ASSERT_LT(bomb.size(), 20'000u);
  say(peer, bomb, 2);
  expect_closed(peer, 1009);
  EXPECT_EQ(stats().ws_inflate_too_long.get(), 1u);
  EXPECT_EQ(room_.backend.messages.size(), 0u);
}

TEST_F(ClientDeflate, WhatCannotBeInflatedEndsTheConnection) {
  Peer peer = web_client();
  say(peer, "\xff\xff\xff");
  expect_closed(peer, 1007);
  EXPECT_EQ(stats().ws_inflate_failed.get(), 1u);
}

TEST_F(ClientDeflate, InflatedTextMustBeUtf8) {
  Peer peer = web_client();
  say(peer, PeerDeflater().message("\xff\xfe"));
  expect_closed(peer, 1007);
}

TEST_F(ClientDeflate, WhatClientsMayReferBackToIsCountedAsLongAsItIsKept) {
  room_.web.permessage_deflate->client_no_context_takeover = false;
  room_.web.permessage_deflate->client_max_window_bits = 10;
  const char* offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
  Peer one = web_client(offer), two = web_client(offer), alone = web_client();
  EXPECT_EQ(extensions_of(one),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10");
  PeerDeflater first(10), second(10);
  size_t messages = 0;
  auto both_say = [&](const std::string& text) {
    say(one, first.message(text));
    say(two, second.message(text));
    say(alone, PeerDeflater().message(text));
    EXPECT_TRUE(hears(messages += 3));
    EXPECT_EQ(room_.backend.messages.back(), text);
  };
  both_say("hello hello");
  EXPECT_EQ(stats().ws_window_bytes.get(), 2 * 11u);
  both_say("hello hello hello");
  EXPECT_EQ(stats().ws_window_bytes.get(), 2 * 28u);
  both_say(std::string(5000, 'y'));
  EXPECT_EQ(stats().ws_window_bytes.get(), 2 * 1024u);
  one.close();
  EXPECT_TRUE(room_.turn_until([&] { return stats().ws_window_bytes.get() == 1024; }));
  say(two, "\xff");  // an error: it is not waited until the connection is gone
  EXPECT_TRUE(room_.turn_until([&] { return stats().ws_window_bytes.get() == 0; }));
}

// Terms live as long as the connection, the setting as long as the configuration.
TEST_F(ClientDeflate, WithoutTheSettingOpenClientsMayDeflateAndAreSentPlain) {
  Peer peer = web_client();
  room_.web.permessage_deflate.reset();
  std::string text(1000, 'x');
  say(peer, PeerDeflater().message(text));
  ASSERT_TRUE(hears(1));
  EXPECT_EQ(room_.backend.messages.back(), text);
  Payload payload(text, false);
  EXPECT_TRUE(push(peer, payload));
  EXPECT_EQ(next(peer, 1000), frame(1, text, {.masked = false}));
}

}  // namespace
}  // namespace holdfast
