// Clients that speak TLS: what a plain one can, through records. The other end is OpenSSL's client on a socket pair.
#include "worker/tls_client.h"

#include <gtest/gtest.h>

#include "tests/harness/openssl_client.h"
#include "tests/unit/worker/room.h"
#include "tests/unit/ws/client_frames.h"
#include "worker/addresses.h"

namespace holdfast {
namespace {

using test::OpensslClient;
using test::Peer;

const tls::Context& context() {
  static const tls::Context made =
      std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  return made;
}

// A peer whose bytes go through an OpenSSL client.
struct TlsPeer {
  explicit TlsPeer(Peer&& raw) : peer(std::move(raw)) {}

  void send_out() {
    std::string bytes = ssl.take();
    if (!bytes.empty()) peer.send(bytes);
  }
  // Everything that was said to it so far.
  const std::string& heard() {
    const std::string& all = peer.received();
    ssl.give(std::string_view(all).substr(given));
    given = all.size();
    said += ssl.hear();
    send_out();
    return said;
  }
  void say(std::string_view text) {
    ssl.say(text);
    send_out();
  }

  Peer peer;
  OpensslClient ssl;
  size_t given = 0;
  std::string said;
};

std::string handshake_request() {
  return "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

class TlsClientTest : public ::testing::Test {
 protected:
  // Past the TLS hand-shake.
  TlsPeer& secure(const conf::Listen& listen) {
    TlsPeer& peer = peers_.emplace_back(room_.connect(listen, room_.backend, &context()));
    peer.send_out();
    EXPECT_TRUE(room_.turn_until([&] {
      peer.heard();
      return peer.ssl.shaken();
    }));
    peer.send_out();
    for (int i = 0; i < 3; ++i) room_.turn();
    return peer;
  }
  std::string behind_101(TlsPeer& peer) {
    const std::string& all = peer.heard();
    size_t end = all.find("\r\n\r\n");
    return all.starts_with("HTTP/1.1 101 ") && end != all.npos ? all.substr(end + 4) : "(no 101)";
  }
  bool opens(TlsPeer& peer) {
    return room_.turn_until([&] { return behind_101(peer).empty(); });
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }
  void expect_nothing_left() {
    EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
    EXPECT_EQ(stats().connections_open.get(), 0u);
    EXPECT_EQ(stats().sessions_online.get(), 0u);
    EXPECT_EQ(stats().bytes_unsent.get(), 0u);
  }

  test::Instance instance_;
  test::Room room_{instance_};
  std::deque<TlsPeer> peers_;
};

TEST_F(TlsClientTest, MessagesGoBothWays) {
  TlsPeer& peer = secure(room_.web);
  peer.say(handshake_request());
  ASSERT_TRUE(opens(peer)) << peer.heard();
  peer.say(test::frame(1, "hello") + test::frame(1, std::string(30'000, 'x')));
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 2; }));
  EXPECT_EQ(room_.backend.messages[0], "hello");
  EXPECT_EQ(room_.backend.messages[1], std::string(30'000, 'x'));
  Session* session = room_.session_of(peer.peer);
  Payload payload("pushed", false);
  EXPECT_TRUE(room_.sessions.deliver(*session, payload, Urgency::urgent));
  EXPECT_TRUE(
      room_.turn_until([&] { return behind_101(peer) == std::string("\x81\x06") + "pushed"; }));
  EXPECT_EQ(stats().tls_handshakes.get(), 1u);
  session->client->close(4001, "bye", EndReason::kicked);
  peer.say(test::frame(8, std::string("\x0f\xa1", 2)));
  EXPECT_TRUE(room_.turn_until([&] {
    peer.heard();
    return peer.ssl.told_to_close();
  }));
  peer.peer.close();
  expect_nothing_left();
}

// The request, and frames behind it before it is answered: they wait for the answer.
TEST_F(TlsClientTest, WhatComesTooEarlyWaits) {
  room_.backend.accepts = false;
  TlsPeer& peer = secure(room_.web);
  peer.ssl.say(handshake_request() + test::frame(1, "in the same record"));
  peer.ssl.say(test::frame(1, "in the next"));
  peer.ssl.say(test::frame(1, "and the last"));
  peer.send_out();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer.peer) != nullptr; }));
  for (int i = 0; i < 3; ++i) room_.turn();
  EXPECT_TRUE(room_.backend.messages.empty());
  room_.session_of(peer.peer)->client->accept({});
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 3; }));
  EXPECT_EQ(room_.backend.messages,
            (std::vector<std::string>{"in the same record", "in the next", "and the last"}));
  EXPECT_TRUE(opens(peer));
}

TEST_F(TlsClientTest, ASlowReaderGetsEverythingInOrder) {
  TlsPeer& peer = secure(room_.lines);
  Session* session = room_.session_of(peer.peer);
  ASSERT_NE(session, nullptr);
  room_.lines.send_queue = 64 * 1024 * 1024;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    std::string line = std::to_string(i) + std::string(20'000, 'x') + "\n";
    Payload payload(std::string_view(line).substr(0, line.size() - 1), false);
    ASSERT_TRUE(room_.sessions.deliver(*session, payload, Urgency::urgent));
    expected += line;
    room_.turn();
  }
  EXPECT_GT(session->client->unsent(), 0u);
  EXPECT_TRUE(room_.turn_until([&] { return peer.heard().size() == expected.size(); }));
  EXPECT_TRUE(peer.heard() == expected);
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

TEST_F(TlsClientTest, LinesAndGoodbye) {
  TlsPeer& peer = secure(room_.lines);
  peer.say("question\n");
  SSL_shutdown(peer.ssl.ssl());
  peer.send_out();
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 1; }));
  EXPECT_TRUE(room_.turn_until([&] {
    peer.heard();
    return peer.ssl.told_to_close() && peer.peer.at_end();
  }));
  EXPECT_EQ(room_.backend.endings, std::vector<EndReason>{EndReason::client_closed});
  peer.peer.close();
  expect_nothing_left();
}

// Who cuts a connection must not be able to make an end of it that looks meant.
TEST_F(TlsClientTest, AnEndWithoutGoodbyeIsALoss) {
  TlsPeer& peer = secure(room_.lines);
  peer.peer.end_output();
  ASSERT_TRUE(room_.turn_until([&] { return !room_.backend.endings.empty(); }));
  EXPECT_EQ(room_.backend.endings, std::vector<EndReason>{EndReason::connection_lost});
  expect_nothing_left();
}

TEST_F(TlsClientTest, NonsenseEndsIt) {
  TlsPeer& peer = secure(room_.lines);
  peer.peer.send("nonsense, and not even a record");
  ASSERT_TRUE(room_.turn_until([&] { return peer.peer.at_end(); }));
  EXPECT_EQ(stats().tls_failed.get(), 1u);
  TlsPeer plain(room_.connect(room_.web, room_.backend, &context()));
  plain.peer.send(handshake_request());
  ASSERT_TRUE(room_.turn_until([&] { return plain.peer.at_end(); }));
  EXPECT_EQ(stats().tls_failed.get(), 2u);
  expect_nothing_left();
}

TEST_F(TlsClientTest, NobodyIsWaitedForLongerThanForAHandshake) {
  TlsPeer silent(room_.connect(room_.web, room_.backend, &context()));
  room_.turn();
  room_.pass(room_.config.limits.handshake_timeout_ms + 200);
  EXPECT_TRUE(room_.turn_until([&] { return silent.peer.at_end(); }));
  EXPECT_EQ(stats().handshakes_timed_out.get(), 1u);
}

TEST_F(TlsClientTest, APlainPageIsServed) {
  room_.web.page = "page.html";
  room_.web.page_html = "<p>hello";
  TlsPeer& peer = secure(room_.web);
  peer.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(room_.turn_until(
      [&] { return peer.heard().ends_with("<p>hello") && peer.ssl.told_to_close(); }));
}

TEST_F(TlsClientTest, AProxysHeaderComesBeforeIt) {
  room_.lines.proxies_unix = room_.lines.proxy_protocol = true;
  TlsPeer peer(room_.connect(room_.lines, room_.backend, &context()));
  EXPECT_FALSE(peer.peer.client->can_move());
  peer.peer.send("PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n" + peer.ssl.take());
  ASSERT_TRUE(room_.turn_until([&] {
    peer.heard();
    return peer.ssl.shaken();
  }));
  peer.say("line\n");
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 1; }));
  const Session* session = room_.session_of(peer.peer);
  EXPECT_EQ(address_text(instance_.segment.directory().view(session->id.index())->origin.peer),
            "192.0.2.7");
}

}  // namespace
}  // namespace holdfast
