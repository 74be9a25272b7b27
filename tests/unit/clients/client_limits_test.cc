// Limits by address, of what a session sends, and of what a worker owes: who is refused or closed, with which words, and
// that nothing stays counted when all are gone.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "tests/harness/openssl_client.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/net/tls/context.h"
#include "worker/sessions/shedding.h"

namespace holdfast {
namespace {

using test::Peer;
using test::Room;

shm::SessionOrigin from(const char* address) {
  shm::SessionOrigin origin;
  EXPECT_EQ(inet_pton(AF_INET6, address, &origin.peer), 1);
  origin.peer_port = 4711;
  return origin;
}

class ClientLimits : public ::testing::Test {
 protected:
  static conf::Config limited() {
    conf::Config config;
    config.limits.max_connections_per_ip = 3;
    config.limits.connect_rate_per_ip = 1000;
    return config;
  }
  Peer web(Room& room, const char* address = "::ffff:192.0.2.1") {
    return room.connect(room.web, room.backend, nullptr, from(address));
  }
  Peer lines(Room& room, const char* address = "::ffff:192.0.2.1") {
    return room.connect(room.lines, room.backend, nullptr, from(address));
  }
  bool opens(Room& room, Peer& peer) {
    test::shake_hands(peer);
    return room.turn_until([&] { return test::behind_101(peer).empty() || peer.at_end(); }) &&
           !peer.at_end();
  }
  // As many more as the limit has room for now.
  int room_for(Room& room) {
    int n = 0;
    std::vector<Peer> peers;
    for (bool came = true; came; n += came) {
      peers.push_back(lines(room));
      came = room.session_of(peers.back()) != nullptr;
    }
    peers.clear();
    EXPECT_TRUE(room.turn_until([&] { return room.connections.size() == 0; }));
    return n;
  }
  shm::StatsBlock& stats(Room& room) { return room.runtime.stats; }

  test::Instance instance_;
  Room here_{instance_, 0, limited()}, there_{instance_, 1, limited()};
};

// Or an address could have any number of sessions by cutting its connections.
TEST_F(ClientLimits, ASessionThatWaitsForItsClientIsCountedOnce) {
  here_.web.resume_ms = 60'000;
  for (const char* seen : {"", "&seen=0", "&seen=0"}) {
    Peer peer = web(here_);
    peer.send("GET /ws?resume=Holdfast-tests_000001A" + std::string(seen) +
              " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    ASSERT_TRUE(here_.turn_until([&] { return here_.session_of(peer) != nullptr; }));
    peer.close();
    ASSERT_TRUE(here_.turn_until([&] { return stats(here_).sessions_detached.get() == 1; }));
    EXPECT_EQ(room_for(here_), 2);
    EXPECT_EQ(room_for(there_), 2);
  }
  EXPECT_EQ(stats(here_).resume_resumed.get(), 2u);
  here_.sessions.for_each_live(
      [&](Session& session) { here_.sessions.hang_up(session, 4000, "out", EndReason::kicked); });
  EXPECT_EQ(room_for(here_), 3);
}

TEST_F(ClientLimits, OneMoreThanAnAddressMayHaveIsTold) {
  Peer one = web(here_), two = web(there_), three = web(here_);
  for (auto [room, peer] : {std::pair{&here_, &one}, {&there_, &two}, {&here_, &three}})
    ASSERT_TRUE(opens(*room, *peer));
  Peer four = web(there_);
  ASSERT_TRUE(there_.turn_until([&] { return four.at_end(); }));
  EXPECT_TRUE(four.received().starts_with("HTTP/1.1 429 Too Many Requests\r\n")) << four.received();
  EXPECT_NE(four.received().find("\r\nRetry-After: "), std::string::npos);
  EXPECT_TRUE(four.received().ends_with("too many connections from your address\n"));
  EXPECT_EQ(stats(there_).limits_address_connections.get(), 1u);
  EXPECT_EQ(stats(there_).handshakes_refused.get(), 1u);
  Peer other = web(there_, "::ffff:192.0.2.2");
  EXPECT_TRUE(opens(there_, other));
  two.close();
  ASSERT_TRUE(there_.turn_until([&] { return there_.sessions.size() == 1; }));
  Peer five = web(here_);
  EXPECT_TRUE(opens(here_, five));
}

TEST_F(ClientLimits, ATcpClientIsClosed) {
  std::vector<Peer> three;
  for (int i = 0; i < 3; ++i) three.push_back(lines(here_));
  Peer four = lines(here_);
  ASSERT_TRUE(here_.turn_until([&] { return four.at_end(); }));
  EXPECT_EQ(four.received(), "");
  EXPECT_EQ(stats(here_).limits_address_connections.get(), 1u);
  EXPECT_EQ(here_.sessions.size(), 3u);
}

TEST_F(ClientLimits, NobodyShakesTlsHandsInVain) {
  auto tls = tls::Context::make({test::make_certificate({"one.example"})});
  ASSERT_TRUE(tls);
  std::vector<Peer> three;
  for (int i = 0; i < 3; ++i) three.push_back(lines(here_));
  Peer four = here_.connect(here_.web, here_.backend, &*tls, from("::ffff:192.0.2.1"));
  ASSERT_TRUE(here_.turn_until([&] { return four.at_end(); }));
  EXPECT_EQ(four.received(), "");
}

TEST_F(ClientLimits, TheRateOfAnAddressHasABound) {
  here_.config.limits.max_connections_per_ip = 0;
  here_.config.limits.connect_rate_per_ip = 5;
  int came = 0, refused = 0;
  std::vector<Peer> peers;
  for (int i = 0; i < 8; ++i) {
    peers.push_back(lines(here_));
    (here_.session_of(peers.back()) != nullptr ? came : refused)++;
  }
  EXPECT_EQ(came, 5);
  EXPECT_EQ(stats(here_).limits_address_rate.get(), uint64_t(refused));
  Peer told = web(here_);
  ASSERT_TRUE(here_.turn_until([&] { return told.at_end(); }));
  EXPECT_TRUE(told.received().ends_with("too many new connections from your address\n"));
  here_.pass(2000);
  peers.push_back(lines(here_));
  EXPECT_NE(here_.session_of(peers.back()), nullptr);
}

// However a connection ends, before or behind its hand-shake.
TEST_F(ClientLimits, WhoIsGoneIsNotCounted) {
  auto ends = [&](const char* how, auto&& end) {
    SCOPED_TRACE(how);
    {
      Peer peer = web(here_);
      end(peer);
      EXPECT_TRUE(here_.turn_until([&] { return here_.sessions.size() == 0; }));
    }
    EXPECT_TRUE(here_.turn_until([&] { return here_.connections.size() == 0; }));
    EXPECT_EQ(room_for(here_), 3);
  };
  ends("at once", [](Peer& peer) { peer.close(); });
  ends("in its request", [](Peer& peer) {
    peer.send("GET /ws HT");
    peer.close();
  });
  ends("too slow", [&](Peer& peer) {
    peer.send("GET /ws HT");
    here_.turn();
    here_.pass(60'000);
  });
  ends("refused", [&](Peer& peer) {
    peer.send("GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(here_.turn_until([&] { return !peer.received().empty(); }));
    peer.close();
  });
  ends("open", [&](Peer& peer) {
    EXPECT_TRUE(opens(here_, peer));
    peer.close();
  });
  ends("kicked", [&](Peer& peer) {
    EXPECT_TRUE(opens(here_, peer));
    here_.session_of(peer)->transport->close(4000, "bye", EndReason::kicked);
  });
  ends("stopping", [&](Peer& peer) {
    here_.runtime.stopping = true;
    test::shake_hands(peer);
    EXPECT_TRUE(here_.turn_until([&] { return !peer.received().empty(); }));
    here_.runtime.stopping = false;
  });
}

TEST_F(ClientLimits, ProxiesAndUnixSocketsAreNotCounted) {
  here_.lines.proxies = {*conf::parse_network("192.0.2.1")};
  std::vector<Peer> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(lines(here_));
  for (int i = 0; i < 5; ++i) peers.push_back(here_.connect());
  EXPECT_EQ(here_.sessions.size(), 10u);
}

TEST_F(ClientLimits, WhomAProxyNamesIsCounted) {
  here_.web.proxies_unix = here_.web.proxy_protocol = true;
  here_.lines.proxies_unix = true;
  here_.lines.proxy_protocol = true;
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(here_.connect());
    peers.back().send("PROXY TCP4 192.0.2.1 192.0.2.9 4711 80\r\n");
    ASSERT_TRUE(here_.turn_until([&] { return here_.session_of(peers.back()) != nullptr; }));
  }
  Peer four = here_.connect(here_.web, here_.backend);
  four.send("PROXY TCP4 192.0.2.1 192.0.2.9 4711 80\r\n");
  ASSERT_TRUE(here_.turn_until([&] { return four.at_end(); }));
  EXPECT_TRUE(four.received().starts_with("HTTP/1.1 429 ")) << four.received();

  here_.web.proxy_protocol = false;
  here_.web.forwarded = conf::Forwarded::x_forwarded_for;
  Peer five = here_.connect(here_.web, here_.backend);
  five.send(
      "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "X-Forwarded-For: 192.0.2.1\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_TRUE(here_.turn_until([&] { return five.at_end(); }));
  EXPECT_TRUE(five.received().starts_with("HTTP/1.1 429 ")) << five.received();
  EXPECT_EQ(here_.sessions.size(), 3u);
}

TEST_F(ClientLimits, OfTheRefusedOnlySoManyAreTold) {
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(lines(here_));
  for (unsigned i = 0; i < Admission::kPolite + 10; ++i) peers.push_back(web(here_));
  here_.turn();
  size_t told = 0, closed = 0;
  for (Peer& peer : peers) {
    (void)peer.at_end();
    told += peer.received().starts_with("HTTP/1.1 429 ");
  }
  closed = peers.size() - here_.connections.size();
  EXPECT_EQ(told, Admission::kPolite);
  EXPECT_EQ(closed, 10u);
  peers.clear();
  ASSERT_TRUE(here_.turn_until([&] { return here_.connections.size() == 0; }));
  for (int i = 0; i < 3; ++i) peers.push_back(lines(here_));
  Peer again = web(here_);
  ASSERT_TRUE(here_.turn_until([&] { return again.at_end(); }));
  EXPECT_TRUE(again.received().starts_with("HTTP/1.1 429 "));  // there is room for words again
}

TEST_F(ClientLimits, ASessionThatSendsTooManyMessagesIsClosed) {
  conf::Config config;
  config.limits.message_rate = 10;
  test::Instance instance;
  Room room(instance, 0, config);
  Peer peer = room.connect(room.web, room.backend);
  ASSERT_TRUE(opens(room, peer));
  std::string flood;
  for (int i = 0; i < 10; ++i) flood += test::frame(1, "x");
  room.pass(1000 - monotonic_ms() % 1000);  // so that no second ends in the middle
  peer.send(flood);
  ASSERT_TRUE(room.turn_until([&] { return room.backend.messages.size() == 10; }));
  room.pass(1000);
  peer.send(flood + test::frame(1, "too much"));
  ASSERT_TRUE(room.turn_until([&] { return !room.backend.endings.empty(); }));
  EXPECT_LE(room.backend.messages.size(), 20u);
  EXPECT_EQ(room.backend.endings, std::vector<EndReason>{EndReason::limit});
  EXPECT_EQ(room.runtime.stats.limits_message_rate.get(), 1u);
  ASSERT_TRUE(room.turn_until([&] {
    return test::behind_101(peer) == std::string("\x88\x13\x03\xf0") + "too many messages";
  }));
}

TEST_F(ClientLimits, ASessionThatSendsTooManyBytesIsClosed) {
  conf::Config config;
  config.limits.byte_rate = 1000;
  test::Instance instance;
  Room room(instance, 0, config);
  Peer peer = room.connect();
  peer.send(std::string(600, 'x') + "\n" + std::string(600, 'x') + "\n");
  ASSERT_TRUE(room.turn_until([&] { return !room.backend.endings.empty() || peer.at_end(); }));
  EXPECT_EQ(room.backend.endings, std::vector<EndReason>{EndReason::limit});
  EXPECT_EQ(room.backend.messages.size(), 1u);
}

// Three debtors of different size: the largest go until there is room.
TEST_F(ClientLimits, WhoIsOwedMostIsShedFirst) {
  conf::Config config;
  config.limits.max_unsent_per_worker = 24 * 1024 * 1024;
  test::Instance instance;
  Room room(instance, 0, config);
  room.lines.send_queue = 64 * 1024 * 1024;
  Peer small = room.connect(), large = room.connect(), middle = room.connect();
  std::string text(1024 * 1024, 'x');
  Payload payload(text, false);
  auto owe = [&](Peer& peer, int messages) {
    Session* session = room.session_of(peer);
    for (int i = 0; i < messages; ++i) room.sessions.deliver(*session, payload, Urgency::urgent);
  };
  owe(small, 4);
  owe(large, 16);
  room.turn();
  shed_debtors(room.runtime, room.connections);
  EXPECT_EQ(room.sessions.live(), 3u);
  owe(middle, 8);
  room.turn();
  shed_debtors(room.runtime, room.connections);
  EXPECT_EQ(room.sessions.live(), 2u);
  EXPECT_EQ(room.session_of(large), nullptr);
  EXPECT_EQ(room.runtime.stats.limits_shed.get(), 1u);
  EXPECT_EQ(room.backend.endings, std::vector<EndReason>{EndReason::slow});
  EXPECT_LE(room.runtime.stats.bytes_unsent.get(), config.limits.max_unsent_per_worker * 7 / 8);
}

}  // namespace
}  // namespace holdfast
