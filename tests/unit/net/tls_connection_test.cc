// Clients and pushers that speak TLS: what plain ones can, through records. The other end is OpenSSL's client on a
// socket pair.
#include "worker/net/tls_connection.h"

#include <gtest/gtest.h>

#include "tests/unit/net/tls_peer.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/api/http/face.h"
#include "worker/api/record.h"
#include "worker/api/tls.h"
#include "worker/clients/tls.h"
#include "worker/net/address_text.h"
#include "worker/net/half_open.h"

namespace holdfast {
namespace {

using test::TlsPeer;

const tls::Context& context() {
  static const tls::Context made =
      std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  return made;
}

std::string handshake_request() {
  return "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

class TlsConnectionTest : public ::testing::Test {
 protected:
  // Past the TLS hand-shake.
  TlsPeer& secure(const conf::Listen& listen) {
    TlsPeer& peer = peers_.emplace_back(room_.connect(listen, room_.backend, &context()));
    EXPECT_TRUE(peer.shake_hands(room_));
    return peer;
  }
  // A hand-shake under way, said to be of `address`.
  TlsPeer& from(const std::string& address) {
    room_.lines.proxies_unix = room_.lines.proxy_protocol = true;
    TlsPeer& peer = peers_.emplace_back(room_.connect(room_.lines, room_.backend, &context()));
    peer.peer.send("PROXY TCP4 " + address + " 192.0.2.1 4711 80\r\n");
    room_.turn();
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

TEST_F(TlsConnectionTest, MessagesGoBothWays) {
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
  session->transport->close(4001, "bye", EndReason::kicked);
  peer.say(test::frame(8, std::string("\x0f\xa1", 2)));
  EXPECT_TRUE(room_.turn_until([&] {
    peer.heard();
    return peer.ssl.told_to_close();
  }));
  peer.peer.close();
  expect_nothing_left();
}

// The request, and frames behind it before it is answered: they wait for the answer.
TEST_F(TlsConnectionTest, WhatComesTooEarlyWaits) {
  room_.backend.accepts = false;
  TlsPeer& peer = secure(room_.web);
  peer.ssl.say(handshake_request() + test::frame(1, "in the same record"));
  peer.ssl.say(test::frame(1, "in the next"));
  peer.ssl.say(test::frame(1, "and the last"));
  peer.send_out();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer.peer) != nullptr; }));
  for (int i = 0; i < 3; ++i) room_.turn();
  EXPECT_TRUE(room_.backend.messages.empty());
  room_.session_of(peer.peer)->transport->accept({});
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 3; }));
  EXPECT_EQ(room_.backend.messages,
            (std::vector<std::string>{"in the same record", "in the next", "and the last"}));
  EXPECT_TRUE(opens(peer));
}

TEST_F(TlsConnectionTest, ASlowReaderGetsEverythingInOrder) {
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
  EXPECT_GT(session->transport->unsent(), 0u);
  EXPECT_TRUE(room_.turn_until([&] { return peer.heard().size() == expected.size(); }));
  EXPECT_TRUE(peer.heard() == expected);
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

TEST_F(TlsConnectionTest, LinesAndGoodbye) {
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
TEST_F(TlsConnectionTest, AnEndWithoutGoodbyeIsALoss) {
  TlsPeer& peer = secure(room_.lines);
  peer.peer.end_output();
  ASSERT_TRUE(room_.turn_until([&] { return !room_.backend.endings.empty(); }));
  EXPECT_EQ(room_.backend.endings, std::vector<EndReason>{EndReason::connection_lost});
  expect_nothing_left();
}

TEST_F(TlsConnectionTest, NonsenseEndsIt) {
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

TEST_F(TlsConnectionTest, NobodyIsWaitedForLongerThanForAHandshake) {
  TlsPeer silent(room_.connect(room_.web, room_.backend, &context()));
  room_.turn();
  room_.pass(room_.config.limits.handshake_timeout_ms + 200);
  EXPECT_TRUE(room_.turn_until([&] { return silent.peer.at_end(); }));
  EXPECT_EQ(stats().handshakes_timed_out.get(), 1u);
}

TEST_F(TlsConnectionTest, APlainPageIsServed) {
  room_.web.page = "page.html";
  room_.web.page_html = "<p>hello";
  TlsPeer& peer = secure(room_.web);
  peer.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(room_.turn_until(
      [&] { return peer.heard().ends_with("<p>hello") && peer.ssl.told_to_close(); }));
}

TEST_F(TlsConnectionTest, AProxysHeaderComesBeforeIt) {
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

// ---- what strangers can make of it

TEST_F(TlsConnectionTest, OfTooManyHandshakesTheOldestEnds) {
  room_.config.limits.max_tls_handshakes = 3;
  for (int i = 0; i < 5; ++i) {
    peers_.emplace_back(room_.connect(room_.web, room_.backend, &context()));
    if (i % 2 == 0) peers_.back().send_out();
    room_.turn();
  }
  EXPECT_EQ(stats().tls_shed.get(), 2u);
  EXPECT_EQ(stats().tls_half_open.get(), 3u);
  EXPECT_GT(stats().tls_half_open_bytes.get(), 0u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(peers_[i].peer.at_end(), i < 2) << i;
  EXPECT_TRUE(peers_[4].shake_hands(room_));
  EXPECT_EQ(stats().tls_half_open.get(), 2u);
  peers_.clear();
  expect_nothing_left();
  EXPECT_EQ(stats().tls_half_open.get(), 0u);
  EXPECT_EQ(stats().tls_half_open_bytes.get(), 0u);
}

TEST_F(TlsConnectionTest, OfTooManyHandshakesOfAnAddressItsOldestEnds) {
  room_.config.limits.max_tls_handshakes_per_ip = 2;
  TlsPeer& other = from("192.0.2.8");
  TlsPeer& first = from("192.0.2.7");
  TlsPeer& second = from("192.0.2.7");
  TlsPeer& third = from("192.0.2.7");
  EXPECT_EQ(stats().tls_shed.get(), 1u);
  EXPECT_TRUE(first.peer.at_end());
  for (TlsPeer* stays : {&other, &second, &third}) EXPECT_TRUE(stays->shake_hands(room_));
  // Who has shaken hands counts no more.
  from("192.0.2.7");
  from("192.0.2.7");
  EXPECT_EQ(stats().tls_shed.get(), 1u);
  EXPECT_EQ(stats().tls_half_open.get(), 2u);
}

// A proxy that does not say whom it speaks for is not one address.
TEST_F(TlsConnectionTest, HandshakesOfAProxyAreNotCountedForIt) {
  room_.config.limits.max_tls_handshakes_per_ip = 1;
  shm::SessionOrigin proxy;
  proxy.peer = *conf::parse_ip("192.0.2.7");
  room_.web.proxies = {*conf::parse_network("192.0.2.0/24")};
  for (int i = 0; i < 3; ++i)
    peers_.emplace_back(room_.connect(room_.web, room_.backend, &context(), proxy));
  EXPECT_EQ(stats().tls_half_open.get(), 3u);
  EXPECT_EQ(stats().tls_shed.get(), 0u);
}

// Large hellos that do not become whole.
TEST_F(TlsConnectionTest, HandshakesThatHoldTooMuchEnd) {
  room_.config.limits.max_tls_handshakes = 2;
  std::string half = std::string("\x16\x03\x01\x40\0\x01\0\xf0\0", 9) + std::string(16'380, 'x');
  for (int i = 0; i < 3; ++i)
    half += std::string("\x16\x03\x01\x40\0", 5) + std::string(16'384, 'x');
  half.resize(60'000);
  for (int i = 0; i < 2; ++i) {
    peers_.emplace_back(room_.connect(room_.web, room_.backend, &context()));
    for (size_t at = 0; at < half.size(); at += 20'500) {  // so the buffer has grown by doubling
      peers_.back().peer.send(std::string_view(half).substr(at, 20'500));
      room_.turn();
    }
  }
  EXPECT_EQ(stats().tls_shed.get(), 1u);
  EXPECT_LE(stats().tls_half_open_bytes.get(), 2 * HalfOpen::kBytesEach);
  EXPECT_TRUE(peers_[0].peer.at_end());
  EXPECT_FALSE(peers_[1].peer.at_end());
}

TEST_F(TlsConnectionTest, HandshakesWaitInOrderForATurnThatHasRoom) {
  for (int i = 0; i < 3; ++i) {
    peers_.emplace_back(room_.connect(room_.web, room_.backend, &context()));
    peers_.back().send_out();
  }
  room_.connections.half_open().spend(HalfOpen::kShare);
  event_base_loop(room_.loop.raw(), EVLOOP_NONBLOCK);
  EXPECT_EQ(stats().tls_waited.get(), 3u);
  EXPECT_EQ(room_.connections.half_open().waiting(), 3u);
  for (TlsPeer& peer : peers_) EXPECT_EQ(peer.peer.received(), "");
  for (TlsPeer& peer : peers_) EXPECT_TRUE(peer.shake_hands(room_));
  EXPECT_EQ(room_.connections.half_open().waiting(), 0u);
  // One that goes away while it waits.
  peers_.emplace_back(room_.connect(room_.web, room_.backend, &context()));
  peers_.back().send_out();
  room_.connections.half_open().spend(HalfOpen::kShare);
  event_base_loop(room_.loop.raw(), EVLOOP_NONBLOCK);
  EXPECT_EQ(room_.connections.half_open().waiting(), 1u);
  peers_.back().peer.client->wind_up(WindUp::all);
  EXPECT_EQ(room_.connections.half_open().waiting(), 0u);
  EXPECT_TRUE(room_.turn_until([&] { return peers_.back().peer.at_end(); }));
}

// All in one write, as a program sends that has something to say: Finished, the request, and more than a hand-shake may be.
TEST_F(TlsConnectionTest, WhatComesRightBehindTheHandshakeIsTheApplications) {
  TlsPeer peer(room_.connect(room_.web, room_.backend, &context()));
  peer.send_out();
  ASSERT_TRUE(room_.turn_until([&] {
    const std::string& all = peer.peer.received();
    peer.ssl.give(std::string_view(all).substr(peer.given));
    peer.given = all.size();
    return peer.ssl.shaken();
  }));
  peer.ssl.say(handshake_request());
  for (int i = 0; i < 3; ++i) peer.ssl.say(test::frame(1, std::string(40'000, 'x')));
  peer.send_out();
  EXPECT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 3; }));
  EXPECT_EQ(stats().tls_failed.get(), 0u);
}

TEST_F(TlsConnectionTest, UnreadKeyUpdatesAreAnsweredOnce) {
  TlsPeer& peer = secure(room_.lines);
  Session* session = room_.session_of(peer.peer);
  room_.lines.send_queue = 64 * 1024 * 1024;
  Payload payload(std::string(1'000'000, 'x'), false);  // more than the socket takes
  ASSERT_TRUE(room_.sessions.deliver(*session, payload, Urgency::urgent));
  for (int i = 0; i < 3; ++i) room_.turn();
  uint64_t unsent = stats().bytes_unsent.get();
  ASSERT_GT(unsent, 0u);
  for (unsigned i = 0; i < tls::Records::kBurst; ++i) {
    ASSERT_EQ(SSL_key_update(peer.ssl.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    peer.say("x\n");
    room_.turn();
  }
  ASSERT_TRUE(
      room_.turn_until([&] { return room_.backend.messages.size() == tls::Records::kBurst; }));
  EXPECT_EQ(stats().bytes_unsent.get(), unsent);
  EXPECT_EQ(stats().tls_key_updates.get(), 0u);
  EXPECT_TRUE(room_.turn_until([&] { return peer.heard().size() == 1'000'001; }));
  EXPECT_TRUE(room_.turn_until([&] { return stats().tls_key_updates.get() == 1; }));
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
  peer.say("still there\n");
  EXPECT_TRUE(room_.turn_until([&] { return room_.backend.messages.back() == "still there"; }));
}

// With something to say between them, which used to make up for it.
TEST_F(TlsConnectionTest, KeyUpdatesWithoutEndAreItsEnd) {
  TlsPeer& peer = secure(room_.web);
  peer.say(handshake_request());
  ASSERT_TRUE(opens(peer));
  for (unsigned i = 0; i < 20 * tls::Records::kBurst; ++i) {
    ASSERT_EQ(SSL_key_update(peer.ssl.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    peer.ssl.say(test::frame(10, "pong"));
  }
  peer.send_out();
  EXPECT_TRUE(room_.turn_until([&] { return peer.peer.at_end(); }));
  EXPECT_EQ(stats().tls_failed.get(), 1u);
  EXPECT_EQ(room_.backend.endings, std::vector<EndReason>{EndReason::connection_lost});
}

TEST_F(TlsConnectionTest, KeysAreChangedInTimeBothWays) {
  tls::Context soon = std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  soon.most_records(8);
  TlsPeer peer(room_.connect(room_.lines, room_.backend, &soon));
  ASSERT_TRUE(peer.shake_hands(room_));
  Session* session = room_.session_of(peer.peer);
  std::string expected;
  for (size_t i = 1; i <= 50; ++i) {
    peer.say("question\n");
    ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == i; }));
    Payload payload("answer", false);
    ASSERT_TRUE(room_.sessions.deliver(*session, payload, Urgency::urgent));
    expected += "answer\n";
    ASSERT_TRUE(room_.turn_until([&] { return peer.heard() == expected; }));
  }
  EXPECT_GE(stats().tls_rekeyed.get(), 10u);
  EXPECT_EQ(stats().tls_failed.get(), 0u);
}

// TLS 1.2 cannot change them: who comes again gets new ones.
TEST_F(TlsConnectionTest, OldKeysThatAreUsedUpAreTheEnd) {
  tls::Context soon = std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  soon.most_records(8);
  TlsPeer peer(room_.connect(room_.web, room_.backend, &soon),
               {.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
  ASSERT_TRUE(peer.shake_hands(room_));
  peer.say(handshake_request());
  ASSERT_TRUE(opens(peer));
  for (int i = 0; i < 8; ++i) peer.say(test::frame(1, "x"));
  EXPECT_TRUE(room_.turn_until([&] {
    return behind_101(peer).find("\x03\xf4") != std::string::npos;
  })) << "close code 1012";
  EXPECT_EQ(room_.backend.endings, std::vector<EndReason>{EndReason::limit});
  EXPECT_EQ(stats().tls_failed.get(), 0u);
}

TEST_F(TlsConnectionTest, RecordsAreAsShortAsTheClientAskedFor) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer peer(room_.connect(room_.lines, room_.backend, &context()),
                 {.version = version, .max_fragment = 1});
    ASSERT_TRUE(peer.shake_hands(room_));
    Payload payload(std::string(10'000, 'x'), false);
    ASSERT_TRUE(room_.sessions.deliver(*room_.session_of(peer.peer), payload, Urgency::urgent));
    EXPECT_TRUE(room_.turn_until([&] { return peer.heard().size() == 10'001; })) << version;
  }
}

// ---- pushers

constexpr std::string_view kAsk = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

const conf::Certificate& authority() {
  static const conf::Certificate made = test::make_certificate({"our own authority"});
  return made;
}

const tls::Context& strict_context() {
  static const tls::Context made =
      std::move(*tls::Context::make({test::make_certificate({"api.example"})}, authority().chain));
  return made;
}

class TlsApi : public ::testing::Test {
 protected:
  ~TlsApi() override {
    // A process that has handed over ends without destructors, and so do these rooms.
    static auto* ended = new std::vector<std::unique_ptr<Place>>;
    for (auto& place : left_) ended->push_back(std::move(place));
    place_->room.connections.clear();  // before their homes
  }

  // A worker, and its listener.
  struct Place {
    Place(test::Instance& instance, const conf::Api& api, const tls::Context& tls, bool standby)
        : room(instance, 0, {}, standby),
          home(
              room.runtime, room.connections,
              {&room.config, &api, &instance.segment, 0, &room.router, &room.runtime.stats,
               &room.runtime.draining, &room.hub, &room.tracer},
              [](const api::ApiContext& context, api::Wire& wire) -> std::unique_ptr<api::Face> {
                return std::make_unique<api::HttpFace>(context, wire);
              },
              &tls) {}
    test::Room room;
    ApiHome home;
  };

  void serve(const tls::Context& tls) { place_ = make(tls, false); }
  TlsPeer& connect(const test::ClientWishes& wishes = {}) {
    auto [near, far] = test::socket_pair();
    auto made = ApiConnection::make(place_->home, std::move(near));
    last_ = made.get();
    room().connections.add(std::move(made));
    last_->start();
    return peers_.emplace_back(test::Peer(std::move(far), nullptr), wishes);
  }
  size_t answers(TlsPeer& peer) {
    const std::string& heard = peer.heard();
    size_t n = 0;
    for (size_t at = 0; (at = heard.find("HTTP/1.1 200 OK", at)) != heard.npos; ++at) ++n;
    return n;
  }
  bool answered(TlsPeer& peer, size_t times) {
    return room().turn_until([&] { return answers(peer) == times; });
  }
  // A new worker takes over the last connection.
  void move() {
    handover::ApiRecord record;
    ASSERT_TRUE(last_->can_move());
    ASSERT_TRUE(handover::load(handover::save(last_->save()), record));
    UniqueFd fd(dup(last_->fd()));
    ASSERT_EQ(dup2(nothing_.get(), last_->fd()), last_->fd());
    left_.push_back(std::exchange(place_, make(*place_->home.tls, true)));
    auto restored = ApiConnection::restore(place_->home, std::move(fd), std::move(record));
    ASSERT_NE(restored, nullptr);
    last_ = restored.get();
    room().connections.restore(std::move(restored));
    last_->resume();
  }
  bool gone() {
    return room().turn_until([&] { return room().connections.size() == 0; });
  }
  std::unique_ptr<Place> make(const tls::Context& tls, bool standby) {
    return std::make_unique<Place>(instance_, api_, tls, standby);
  }
  test::Room& room() { return place_->room; }
  shm::StatsBlock& stats() { return room().runtime.stats; }

  UniqueFd nothing_{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  test::Instance instance_;
  conf::Api api_;
  std::unique_ptr<Place> place_;
  std::vector<std::unique_ptr<Place>> left_;
  std::deque<TlsPeer> peers_;
  ApiConnection* last_ = nullptr;
};

TEST_F(TlsApi, RequestsAreAnsweredInOrder) {
  serve(context());
  TlsPeer& peer = connect();
  ASSERT_TRUE(peer.shake_hands(room()));
  for (int i = 0; i < 100; ++i) peer.say(kAsk);
  EXPECT_TRUE(answered(peer, 100));
  SSL_shutdown(peer.ssl.ssl());
  peer.send_out();
  EXPECT_TRUE(room().turn_until([&] {
    peer.heard();
    return peer.ssl.told_to_close() && peer.peer.at_end();
  }));
  EXPECT_TRUE(gone());
}

TEST_F(TlsApi, OneWhoSaysGoodbyeGetsTheAnswersStillOwed) {
  serve(context());
  TlsPeer& peer = connect();
  ASSERT_TRUE(peer.shake_hands(room()));
  for (int i = 0; i < 500; ++i) peer.ssl.say(kAsk);
  SSL_shutdown(peer.ssl.ssl());
  peer.send_out();
  EXPECT_TRUE(answered(peer, 500));
  EXPECT_TRUE(gone());
}

// A move between any two bytes of a request's record.
TEST_F(TlsApi, ItMovesWithHalfARecord) {
  serve(context());
  TlsPeer& peer = connect();
  ASSERT_TRUE(peer.shake_hands(room()));
  peer.ssl.say(kAsk);
  std::string bytes = peer.ssl.take();
  for (size_t i = 0; i < bytes.size(); ++i) {
    peer.peer.send(bytes.substr(i, 1));
    for (int turn = 0; turn < 2; ++turn) room().turn();
    ASSERT_NO_FATAL_FAILURE(move()) << i;
  }
  EXPECT_TRUE(answered(peer, 1));
  peer.say(kAsk);
  EXPECT_TRUE(answered(peer, 2));
}

TEST_F(TlsApi, OnlyWhoShowsASignedCertificateGetsIn) {
  serve(strict_context());
  const conf::Certificate ours = test::make_certificate({"program"}, &authority()),
                          theirs = test::make_certificate({"stranger"});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer& peer = connect({.version = version, .certificate = &ours});
    ASSERT_TRUE(peer.shake_hands(room())) << version;
    peer.say(kAsk);
    EXPECT_TRUE(answered(peer, 1)) << version;
    TlsPeer& stranger = connect({.version = version, .certificate = &theirs});
    EXPECT_FALSE(stranger.shake_hands(room())) << version;
    TlsPeer& nobody = connect({.version = version});
    EXPECT_FALSE(nobody.shake_hands(room())) << version;
  }
  EXPECT_EQ(stats().tls_failed.get(), 4u);
  EXPECT_EQ(stats().tls_handshakes.get(), 2u);
  EXPECT_EQ(stats().api_requests.get(), 2u);
}

TEST_F(TlsApi, ItsHandshakesAreBoundedToo) {
  serve(context());
  room().config.limits.max_tls_handshakes = 2;
  for (int i = 0; i < 3; ++i) {
    connect();
    room().turn();
  }
  EXPECT_EQ(stats().tls_shed.get(), 1u);
  EXPECT_EQ(stats().tls_half_open.get(), 2u);
  EXPECT_TRUE(peers_[0].peer.at_end());
  EXPECT_TRUE(peers_[2].shake_hands(room()));
  peers_[2].say(kAsk);
  EXPECT_TRUE(answered(peers_[2], 1));
}

// Short records, an answer that is owed and half a KeyUpdate move with it.
TEST_F(TlsApi, ItMovesWithWhatItHasAgreedTo) {
  serve(context());
  TlsPeer& peer = connect({.version = TLS1_3_VERSION, .max_fragment = 1});
  ASSERT_TRUE(peer.shake_hands(room()));
  ASSERT_EQ(SSL_key_update(peer.ssl.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  peer.say(kAsk);
  ASSERT_NO_FATAL_FAILURE(move());
  EXPECT_TRUE(answered(peer, 1));
  peer.say("GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answered(peer, 2));
  EXPECT_TRUE(room().turn_until([&] { return peer.heard().size() > 10'000; }));
}

// Whose authority has left client_ca goes; one that was only renewed, with its key, stays the same.
TEST_F(TlsApi, ConnectionEndsWithItsAuthorityAtAReload) {
  static const conf::Certificate another = test::make_certificate({"another authority"});
  const conf::Certificate ours = test::make_certificate({"program"}, &authority());
  serve(strict_context());
  TlsPeer& peer = connect({.certificate = &ours});
  ASSERT_TRUE(peer.shake_hands(room()));
  api_.client_ca = another.chain + authority().chain;
  ASSERT_NO_FATAL_FAILURE(move());
  peer.say(kAsk);
  EXPECT_TRUE(answered(peer, 1));
  EXPECT_EQ(stats().api_revoked.get(), 0u);
  api_.client_ca = another.chain;
  ASSERT_NO_FATAL_FAILURE(move());
  EXPECT_EQ(stats().api_revoked.get(), 1u);
  EXPECT_TRUE(room().turn_until([&] {
    peer.heard();
    return peer.ssl.told_to_close() && peer.peer.at_end();
  }));
}

TEST_F(TlsApi, NobodyIsWaitedForInTheHandshake) {
  serve(context());
  TlsPeer& silent = connect();
  room().turn();
  EXPECT_FALSE(last_->can_move());
  room().pass(room().config.limits.handshake_timeout_ms + 200);
  EXPECT_TRUE(room().turn_until([&] { return silent.peer.at_end(); }));
  EXPECT_EQ(stats().handshakes_timed_out.get(), 1u);
  connect();
  room().turn();
  last_->wind_up(WindUp::unopened);
  EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace holdfast
