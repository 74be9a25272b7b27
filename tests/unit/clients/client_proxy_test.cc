// Clients behind a proxy: the connection begins with a PROXY header, or the hand-shake names the client. Peers come by unix
// sockets here, so they are proxies where `proxies_unix` says so.
#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/net/address_text.h"

namespace holdfast {
namespace {

using test::Peer;

class ClientProxy : public ::testing::Test {
 protected:
  ClientProxy() {
    for (conf::Listen* listen : {&room_.web, &room_.lines})
      listen->proxies_unix = listen->proxy_protocol = true;
  }
  std::string origin_of(const Peer& peer) {
    const Session* session = room_.session_of(peer);
    if (session == nullptr) return "(no session)";
    shm::SessionOrigin origin = instance_.segment.directory().view(session->id.index())->origin;
    return address_text(origin.peer) + " " + std::to_string(origin.peer_port);
  }
  bool opens(Peer& peer) {
    return room_.turn_until([&] { return test::behind_101(peer).empty() || peer.at_end(); }) &&
           !peer.at_end();
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
};

const std::string kHeader = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";

TEST_F(ClientProxy, TheHeaderSaysWhoTheClientIs) {
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send(kHeader);
  test::shake_hands(peer);
  ASSERT_TRUE(opens(peer)) << peer.received();
  EXPECT_EQ(origin_of(peer), "192.0.2.7 4711");
}

TEST_F(ClientProxy, BytesOfATcpClientBehindTheHeaderAreItsFirst) {
  std::string all = kHeader + "first\nsecond\n";
  for (size_t at = 1; at < all.size(); ++at) {
    room_.backend.messages.clear();
    Peer peer = room_.connect();
    peer.send(all.substr(0, at));
    for (int i = 0; i < 3; ++i) room_.turn();
    peer.send(all.substr(at));
    ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 2; })) << at;
    EXPECT_EQ(room_.backend.messages, (std::vector<std::string>{"first", "second"}));
    EXPECT_EQ(origin_of(peer), "192.0.2.7 4711");
    peer.close();
    ASSERT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  }
}

TEST_F(ClientProxy, WhoDoesNotBeginWithOneIsClosedAndCounted) {
  for (std::string_view bytes :
       {"GET / HTTP/1.1\r\n", "PROXY TCP4 here there 1 2\r\n", "\r\n\r\n\x01"}) {
    for (const conf::Listen* listen : {&room_.web, &room_.lines}) {
      uint64_t before = stats().handshakes_bad_proxy.get();
      Peer peer = room_.connect(*listen, room_.backend);
      peer.send(bytes);
      ASSERT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
      EXPECT_EQ(peer.received(), "");
      EXPECT_EQ(stats().handshakes_bad_proxy.get(), before + 1);
    }
  }
  EXPECT_EQ(stats().connections_open.get(), 0u);
}

TEST_F(ClientProxy, WhoSendsNothingIsNotWaitedForLongerThanForAHandshake) {
  Peer web = room_.connect(room_.web, room_.backend), line = room_.connect();
  web.send("PROXY ");
  room_.turn();
  room_.pass(room_.config.limits.handshake_timeout_ms + 200);
  EXPECT_TRUE(room_.turn_until([&] { return web.at_end() && line.at_end(); }));
  EXPECT_EQ(stats().handshakes_timed_out.get(), 2u);
}

TEST_F(ClientProxy, AHealthCheckIsTheProxyItself) {
  Peer peer = room_.connect();
  peer.send("PROXY UNKNOWN\r\nping\n");
  ASSERT_TRUE(room_.turn_until([&] { return !room_.backend.messages.empty(); }));
  EXPECT_EQ(origin_of(peer), ":: 0");
}

TEST_F(ClientProxy, OthersAreSpokenToDirectly) {
  room_.web.proxies_unix = false;
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send(kHeader);
  test::shake_hands(peer);
  ASSERT_TRUE(room_.turn_until([&] { return peer.received().starts_with("HTTP/1.1 4"); }));
  Peer direct = room_.connect(room_.web, room_.backend);
  test::shake_hands(direct, "X-Forwarded-For: 192.0.2.9\r\n");
  ASSERT_TRUE(opens(direct));
  EXPECT_EQ(origin_of(direct), ":: 0");
}

TEST_F(ClientProxy, TheRequestsHeaderIsTakenFromProxiesOnly) {
  room_.web.proxy_protocol = false;
  room_.web.forwarded = conf::Forwarded::x_forwarded_for;
  Peer believed = room_.connect(room_.web, room_.backend);
  test::shake_hands(believed, "X-Forwarded-For: 198.51.100.3, 192.0.2.9\r\n");
  ASSERT_TRUE(opens(believed));
  EXPECT_EQ(origin_of(believed), "192.0.2.9 0");
  // Behind a PROXY header the proxy's word is about that address.
  room_.web.proxy_protocol = true;
  Peer behind = room_.connect(room_.web, room_.backend);
  behind.send(kHeader);
  test::shake_hands(behind, "X-Forwarded-For: 198.51.100.3\r\n");
  ASSERT_TRUE(opens(behind));
  EXPECT_EQ(origin_of(behind), "192.0.2.7 4711");
}

// Nobody is exempt from the limits because of what a client has put into the list: the hop that wrote it counts, here the
// unix socket.
TEST_F(ClientProxy, WhoCannotBeReadCountsForTheHopThatSentIt) {
  room_.web.proxy_protocol = false;
  room_.config.limits.max_connections_per_ip = 3;
  using enum conf::Forwarded;
  for (auto [forwarded, header] : {std::pair{x_forwarded_for, "X-Forwarded-For: \"\r\n"},
                                   std::pair{standard, "Forwarded: for=198.51.100.66;x=\"\r\n"}}) {
    room_.web.forwarded = forwarded;
    uint64_t bad = stats().handshakes_bad_forwarded.get();
    std::vector<Peer> in;
    for (int i = 0; i < 3; ++i) {
      in.push_back(room_.connect(room_.web, room_.backend));
      test::shake_hands(in.back(), header);
      ASSERT_TRUE(opens(in.back())) << i;
    }
    Peer fourth = room_.connect(room_.web, room_.backend);
    test::shake_hands(fourth, header);
    ASSERT_TRUE(room_.turn_until([&] { return !fourth.received().empty(); }));
    EXPECT_TRUE(fourth.received().starts_with("HTTP/1.1 429 ")) << fourth.received();
    EXPECT_EQ(stats().handshakes_bad_forwarded.get(), bad + 4);
    // The proxy itself, and whom it does name, are not held up by them.
    for (const char* good : {"", forwarded == standard ? "Forwarded: for=192.0.2.9\r\n"
                                                       : "X-Forwarded-For: 192.0.2.9\r\n"}) {
      Peer other = room_.connect(room_.web, room_.backend);
      test::shake_hands(other, good);
      EXPECT_TRUE(opens(other)) << good;
    }
    in.clear();
    ASSERT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  }
}

TEST_F(ClientProxy, AnOpenQuoteDoesNotHideTheClientThatTheProxyNames) {
  room_.web.proxy_protocol = false;
  room_.config.limits.max_connections_per_ip = 1;
  room_.web.forwarded = conf::Forwarded::x_forwarded_for;
  Peer first = room_.connect(room_.web, room_.backend);
  test::shake_hands(first, "X-Forwarded-For: \", 192.0.2.9\r\n");
  ASSERT_TRUE(opens(first));
  EXPECT_EQ(origin_of(first), "192.0.2.9 0");
  Peer second = room_.connect(room_.web, room_.backend);
  test::shake_hands(second, "X-Forwarded-For: \"\"\", 192.0.2.9\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return !second.received().empty(); }));
  EXPECT_TRUE(second.received().starts_with("HTTP/1.1 429 ")) << second.received();
  EXPECT_EQ(stats().handshakes_bad_forwarded.get(), 0u);
}

}  // namespace
}  // namespace holdfast
