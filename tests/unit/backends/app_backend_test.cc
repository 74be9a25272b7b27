// Sessions of an application: a real AppBackend and its pool, a scripted FastCGI server, clients
// on socket pairs.

#include "worker/backends/app_backend.h"

#include <gtest/gtest.h>

#include "tests/unit/backends/fcgi/fake_server.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/backends/fcgi/carrier.h"

namespace holdfast {
namespace {

using fcgi::FakeConnection;
using fcgi::FakeServer;
using fcgi::ReceivedRequest;
using test::behind_101;
using test::Peer;

// A worker with one application; `start()` before the first client.
class AppTest : public ::testing::Test {
 protected:
  AppTest() {
    conf_.name = "app";
    conf_.script_filename = "/srv/app.php";
    conf_.servers = {{.address = server_.address()}};
    conf_.read_timeout_ms = 10'000;
    room_.lines.idle_timeout_ms = 0;
    room_.web.idle_timeout_ms = 0;
  }
  std::unique_ptr<AppBackend> make_backend(test::Room& room, fcgi::Pool::Share share) {
    auto carrier =
        std::make_unique<fcgi::Carrier>(room.runtime, conf_, share, [] { return false; });
    return std::make_unique<AppBackend>(room.runtime, conf_, share.queue, room.sessions,
                                        room.router, std::move(carrier));
  }
  void start(fcgi::Pool::Share share = {4, 100}) { backend_ = make_backend(room_, share); }
  void TearDown() override {
    room_.connections.clear();
    room_.loop.bury();
    backend_.reset();
    room_.loop.bury();
  }
  Peer tcp_client() { return room_.connect(room_.lines, *backend_); }
  // The next request, on a connection of its own.
  ReceivedRequest next_request(std::unique_ptr<FakeConnection>& connection) {
    connection = std::make_unique<FakeConnection>(server_.accept());
    return connection->read_request();
  }
  void reply(FakeConnection& connection, std::string_view body,
             std::string_view header = "Content-Type: text/plain\r\n") {
    connection.write(fcgi::answer(body, header));
    connection.close();  // the next one comes on a new connection
    room_.turn();
  }
  // Serves the next request with an empty answer and gives its event.
  std::string serve(std::string_view header = "Content-Type: text/plain\r\n",
                    std::string_view body = {}) {
    std::unique_ptr<FakeConnection> connection;
    last_ = next_request(connection);
    reply(*connection, body, header);
    return last_.params["HOLDFAST_EVENT"];
  }
  Peer accepted_client() {
    Peer peer = tcp_client();
    EXPECT_EQ(serve(), "connect");
    EXPECT_TRUE(room_.turn_until([&] {
      Session* session = room_.session_of(peer);
      return session != nullptr && session->phase == SessionPhase::open;
    }));
    return peer;
  }
  bool pass_until(const std::function<bool()>& done) {
    return test::eventually([&] {
      pass(1'000);
      return done();
    });
  }
  void pass(uint64_t ms) {
    room_.pass(ms);
    backend_->tick();
    room_.turn();
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }
  uint64_t owed() { return stats().events_close_owed.get(); }
  // I1, where no session is left.
  void expect_pairs() {
    EXPECT_EQ(stats().events_connect.get(),
              stats().events_close.get() + stats().events_close_lost.get());
    EXPECT_EQ(owed(), 0u);
    EXPECT_EQ(room_.sessions.size(), 0u);
  }

  test::Instance instance_;
  test::Room room_{instance_};
  FakeServer server_{room_.loop, FakeServer::Kind::unix};
  conf::Backend conf_;
  std::unique_ptr<AppBackend> backend_;
  ReceivedRequest last_;
};

// ---- connect and close

TEST_F(AppTest, AcceptedSessionOwesOneCloseEventWithItsReason) {
  start();
  Peer peer = accepted_client();
  EXPECT_EQ(stats().events_connect.get(), 1u);
  EXPECT_EQ(owed(), 0u) << "only of sessions that are gone";
  std::string id = room_.session_of(peer)->id.hex();
  peer.close();
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["SESSIONID"], id);
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "client closed");
  EXPECT_TRUE(room_.turn_until([&] { return stats().events_close.get() == 1; }));
  expect_pairs();
}

// The answer and the other worker's record are both there when this worker wakes up.
TEST_F(AppTest, WhatAScriptHasSentByAnotherWorkerComesBeforeItsAnswer) {
  start();
  test::Room other(instance_, 1);
  Peer peer = accepted_client();
  peer.send("say\n");
  room_.turn();
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  other.router.execute({.op = Op::send, .sessions = {room_.session_of(peer)->id}, .data = "sent"},
                       {});
  reply(*connection, "answered");
  EXPECT_TRUE(room_.turn_until([&] { return peer.received().size() >= 14; }));
  EXPECT_EQ(peer.received(), "sent\nanswered\n");
}

TEST_F(AppTest, TheApplicationChoosesASubprotocolOfTheOffer) {
  start();
  room_.web.subprotocols = {"mqtt"};
  struct Case {
    std::string_view header, answered;
  };
  const Case cases[] = {{"Content-Type: text/plain\r\n", "mqtt"},
                        {"Sec-WebSocket-Protocol: stomp\r\n", "stomp"}};
  for (const Case& c : cases) {
    Peer peer = room_.connect(room_.web, *backend_);
    test::shake_hands(peer, "Sec-WebSocket-Protocol: stomp, mqtt\r\n");
    EXPECT_EQ(serve(c.header), "connect");
    EXPECT_EQ(last_.params["HTTP_SEC_WEBSOCKET_PROTOCOL"], "stomp, mqtt");
    EXPECT_EQ(last_.params["HOLDFAST_SUBPROTOCOL"], "mqtt") << "unless it says something else";
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).empty(); })) << peer.received();
    std::string line = "Sec-WebSocket-Protocol: " + std::string(c.answered) + "\r\n";
    EXPECT_NE(peer.received().find(line), std::string::npos) << peer.received();
    peer.send(test::frame(1, "hello"));
    ASSERT_TRUE(room_.turn_until([&] { return stats().backend_requests.get() % 3 == 2; }));
    EXPECT_EQ(serve(), "message");
    EXPECT_EQ(last_.params["HOLDFAST_SUBPROTOCOL"], c.answered);
    peer.close();
    EXPECT_EQ(serve(), "close");
  }
}

TEST_F(AppTest, ASubprotocolThatWasNotOfferedRefusesTheHandshake) {
  start();
  uint64_t bad = 0;
  for (std::string_view offer : {"", "Sec-WebSocket-Protocol: mqtt\r\n"}) {
    for (std::string_view header :
         {"Sec-WebSocket-Protocol: MQTT\r\n",
          "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: stomp\r\n",
          "Sec-WebSocket-Protocol: mqtt, stomp\r\n"}) {
      Peer peer = room_.connect(room_.web, *backend_);
      test::shake_hands(peer, offer);
      EXPECT_EQ(serve(header), "connect");
      EXPECT_TRUE(room_.turn_until([&] { return !peer.received().empty(); }));
      EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 502 ")) << peer.received();
      EXPECT_EQ(stats().handshakes_bad_subprotocol.get(), ++bad);
      EXPECT_EQ(stats().backend_bad_headers.get(), bad);
      EXPECT_EQ(serve(), "close");
    }
  }
  Peer line = tcp_client();  // speaks none, and is asked for none
  EXPECT_EQ(serve("Sec-WebSocket-Protocol: mqtt\r\n"), "connect");
  EXPECT_TRUE(room_.turn_until([&] {
    Session* session = room_.session_of(line);
    return session != nullptr && session->phase == SessionPhase::open;
  }));
}

TEST_F(AppTest, RefusedOneIsAnsweredWithTheStatusAndOwesNothing) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  EXPECT_EQ(serve("Status: 403 Forbidden\r\n", "not you"), "connect");
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 403 ")) << peer.received();
  EXPECT_TRUE(peer.received().ends_with("\r\n\r\nnot you\n"));
  EXPECT_EQ(stats().events_connect_refused.get(), 1u);
  expect_pairs();
}

TEST_F(AppTest, ConnectThatMayHaveRunIsPairedThatCannotIsNot) {
  start();
  Peer lost = room_.connect(room_.web, *backend_);
  test::shake_hands(lost);
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  connection->write(fcgi::stdout_record("Status"));
  connection->close();
  EXPECT_TRUE(room_.turn_until([&] { return lost.at_end(); }));
  EXPECT_TRUE(lost.received().starts_with("HTTP/1.1 502 ")) << lost.received();
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "refused");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_EQ(stats().events_connect.get(), 1u);
  expect_pairs();

  server_.stop();
  Peer unreached = room_.connect(room_.web, *backend_);
  test::shake_hands(unreached);
  EXPECT_TRUE(pass_until([&] { return unreached.at_end(); }));
  EXPECT_TRUE(unreached.received().starts_with("HTTP/1.1 503 ")) << unreached.received();
  EXPECT_NE(unreached.received().find("\r\nRetry-After: "), std::string::npos);
  EXPECT_EQ(stats().events_connect.get(), 1u);
  EXPECT_EQ(stats().events_connect_failed.get(), 2u);
  expect_pairs();
}

TEST_F(AppTest, ConnectWithoutASignOfLifeIsA504AndPaired) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  EXPECT_TRUE(pass_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 504 ")) << peer.received();
  EXPECT_EQ(serve(), "close");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, ClientThatLeavesDuringItsConnectEventIsPaired) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  room_.session_of(peer)->transport->close(1000, "kicked", EndReason::kicked);
  EXPECT_EQ(room_.sessions.live(), 0u);
  EXPECT_EQ(room_.sessions.size(), 1u);
  reply(*connection, "hello");
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "kicked");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, FullQueueRefusesTheHandshakeAtOnce) {
  start({1, 1});
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(room_.connect(room_.web, *backend_));
    test::shake_hands(peers.back());
  }
  EXPECT_TRUE(room_.turn_until([&] { return peers[2].at_end(); }));
  EXPECT_TRUE(peers[2].received().starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(stats().events_connect_failed.get(), 1u);
  EXPECT_EQ(room_.sessions.size(), 2u);
}

TEST_F(AppTest, CookiesOfTheConnectAnswerGoIntoThe101AndItsBodyBehindIt) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  EXPECT_EQ(serve("Set-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nX-Other: no\r\n", "welcome"),
            "connect");
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == "\x81\7welcome"; }));
  EXPECT_NE(peer.received().find("\r\nSet-Cookie: a=1; Path=/\r\n"), std::string::npos);
  EXPECT_NE(peer.received().find("b=2\r\n"), std::string::npos);
  EXPECT_EQ(peer.received().find("X-Other"), std::string::npos);
}

TEST_F(AppTest, ConnectAnswerMayCloseAtOnce) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  EXPECT_EQ(serve("Holdfast-Close: 4000 full\r\n"), "connect");
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).ends_with("\017\240full"); }));
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_CODE"], "4000");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, ConnectAnswerTooLongForAMessageRefusesTheHandshake) {
  room_.config.limits.max_message_size = 2000;
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  EXPECT_EQ(serve("Content-Type: text/plain\r\n", std::string(2001, 'x')), "connect");
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 502 ")) << peer.received();
  EXPECT_EQ(stats().backend_answers_too_long.get(), 1u);
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "backend failed");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, WithoutEventsNothingIsOwed) {
  conf_.event_connect = conf_.event_close = false;
  start();
  Peer peer = tcp_client();
  ASSERT_NE(room_.session_of(peer), nullptr);
  peer.close();
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_TRUE(server_.nobody_waits());
  expect_pairs();
}

// ---- channels in the URL

class AppSubscribe : public AppTest {
 protected:
  AppSubscribe() {
    conf_.event_close = false;
    conf_.event_subscribe = true;
    for (auto [pattern, subscribe] : {std::pair{"open.*", conf::Subscribe::anyone},
                                      {"ask.*", conf::Subscribe::backend},
                                      {"token.*", conf::Subscribe::token},
                                      {"shut.*", conf::Subscribe::nobody}}) {
      conf::ChannelRule rule;
      rule.pattern = pattern;
      rule.subscribe = subscribe;
      room_.config.channels.push_back(rule);
    }
  }
  Peer client(std::string_view query) {
    Peer peer = room_.connect(room_.web, *backend_);
    peer.send(fmt::format(
        "GET /ws?{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        query));
    return peer;
  }
  std::vector<std::string> channels_of(const Peer& peer) {
    std::vector<std::string> names;
    for (const auto& m : room_.session_of(peer)->memberships) names.push_back(m.channel->name);
    return names;
  }
  bool opened(Peer& peer) {
    return room_.turn_until([&] {
      (void)peer.received();
      Session* session = room_.session_of(peer);
      return session != nullptr && session->phase == SessionPhase::open;
    });
  }
  static std::string unmasked(std::string_view text) {
    return test::frame(1, text, {.masked = false});
  }
  static std::string told(std::string_view channel, std::string_view reason) {
    return unmasked(fmt::format(R"({{"holdfast":{{"refused":{{"channel":"{}","reason":"{}"}}}}}})",
                                channel, reason));
  }
};

TEST_F(AppSubscribe, TheApplicationIsAskedOnceForEachChannelBeforeTheAnswer) {
  start();
  Peer peer = client("channel=ask.a&channel=open.x&channel=ask.b&channel=ask.a&channel=other");
  EXPECT_EQ(serve(), "connect");
  EXPECT_EQ(serve(), "subscribe");
  EXPECT_EQ(last_.params["HOLDFAST_CHANNEL"], "ask.a");
  EXPECT_EQ(last_.params["EVENT"], "3");
  EXPECT_TRUE(peer.received().empty()) << "the hand-shake waits for the last one";
  EXPECT_EQ(serve("Status: 403 No\r\n", "not in here"), "subscribe");
  EXPECT_EQ(last_.params["HOLDFAST_CHANNEL"], "ask.b");
  ASSERT_TRUE(opened(peer));
  EXPECT_EQ(channels_of(peer), (std::vector<std::string>{"ask.a", "open.x"}));
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == told("ask.b", "backend"); }))
      << peer.received();
  EXPECT_TRUE(server_.nobody_waits());
  EXPECT_EQ(stats().events_subscribe.get(), 2u);
  EXPECT_EQ(stats().channels_kept_out.get(), 1u);
}

TEST_F(AppSubscribe, WhatItAnswersIsCarriedOut) {
  start();
  Peer peer = client("channel=ask.a");
  EXPECT_EQ(serve("Set-Cookie: a=b\r\n"), "connect");
  EXPECT_EQ(serve("Holdfast-User: ann\r\n", "welcome"), "subscribe");
  ASSERT_TRUE(opened(peer));
  EXPECT_EQ(room_.session_of(peer)->user.view(), "ann");
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == unmasked("welcome"); }));
  EXPECT_NE(peer.received().find("Set-Cookie: a=b"), std::string::npos);
}

TEST_F(AppSubscribe, HoldfastCloseEndsTheSessionWithItsCode) {
  for (bool at_connect : {true, false}) {
    if (!backend_) start();
    Peer peer = client("channel=ask.a&channel=ask.b");
    if (!at_connect) {
      EXPECT_EQ(serve(), "connect");
    }
    EXPECT_EQ(serve("Holdfast-Close: 4001 enough\r\n"), at_connect ? "connect" : "subscribe");
    std::string goodbye = at_connect ? told("ask.a", "backend") : std::string();
    goodbye += told("ask.b", "backend") +
               test::frame(8, std::string("\x0f\xa1", 2) + "enough", {.masked = false});
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == goodbye; })) << peer.received();
    EXPECT_TRUE(server_.nobody_waits());
    peer.close();
  }
}

TEST_F(AppSubscribe, TokenAndNobodyNeedNoRequest) {
  conf_.event_connect = false;
  start();
  Peer peer = client("channel=token.a&channel=shut.b&channel=open.c");
  ASSERT_TRUE(opened(peer));
  EXPECT_EQ(channels_of(peer), (std::vector<std::string>{"open.c"}));
  std::string both = told("token.a", "token") + told("shut.b", "nobody");
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == both; })) << peer.received();
  EXPECT_TRUE(server_.nobody_waits());
}

TEST_F(AppSubscribe, WithoutTheEventTheApplicationIsNotAsked) {
  conf_.event_connect = conf_.event_subscribe = false;
  start();
  Peer peer = client("channel=ask.a");
  ASSERT_TRUE(opened(peer));
  EXPECT_TRUE(channels_of(peer).empty());
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == told("ask.a", "backend"); }));
}

TEST_F(AppSubscribe, NoAnswerKeepsItsClientOutButConnected) {
  conf_.event_connect = false;
  start();
  Peer peer = client("channel=ask.a");
  std::unique_ptr<FakeConnection> connection;
  EXPECT_EQ(next_request(connection).params["HOLDFAST_EVENT"], "subscribe");
  connection->close();
  ASSERT_TRUE(opened(peer));
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == told("ask.a", "unavailable"); }))
      << peer.received();
  EXPECT_EQ(stats().events_subscribe_failed.get(), 1u);
}

TEST_F(AppSubscribe, ASessionThatEndsWhileItIsAskedForIsForgotten) {
  start();
  Peer peer = client("channel=ask.a&channel=ask.b");
  EXPECT_EQ(serve(), "connect");
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  ASSERT_EQ(room_.sessions.size(), 1u);
  room_.session_of(peer)->transport->close(4000, "kicked", EndReason::kicked);
  room_.turn();
  reply(*connection, "welcome");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_TRUE(server_.nobody_waits());
}

TEST_F(AppSubscribe, AFirstMessageWaitsUntilTheChannelsAreSettled) {
  start();
  Peer peer = client("channel=ask.a");
  peer.send(test::frame(1, "hello"));
  EXPECT_EQ(serve(), "connect");
  EXPECT_EQ(serve(), "subscribe");
  EXPECT_EQ(serve(), "message");
  EXPECT_EQ(last_.body, "hello");
}

TEST_F(AppSubscribe, MoreThanASessionMayHaveAreTooMany) {
  start();
  std::string query = "channel=ask.0";
  for (unsigned i = 1; i <= room_.config.limits.max_channels_per_session; ++i)
    query += fmt::format("&channel=ask.{}", i);
  Peer peer = client(query);
  EXPECT_TRUE(room_.turn_until([&] { return peer.received().starts_with("HTTP/1.1 400 "); }));
  EXPECT_TRUE(server_.nobody_waits());
}

// ---- messages

TEST_F(AppTest, MessagesOfASessionGoOneByOneInOrder) {
  start();
  Peer peer = accepted_client();
  peer.send("1\n2\n3\n");
  for (std::string body : {"1", "2", "3"}) {
    std::unique_ptr<FakeConnection> connection;
    ReceivedRequest request = next_request(connection);
    EXPECT_EQ(request.body, body);
    EXPECT_TRUE(server_.nobody_waits()) << "one at a time";
    reply(*connection, "re " + body);
  }
  EXPECT_TRUE(room_.turn_until([&] { return peer.received() == "re 1\nre 2\nre 3\n"; }));
}

TEST_F(AppTest, CloseEventFollowsTheLastMessage) {  // I2
  start();
  Peer peer = accepted_client();
  peer.send("1\n2\n");
  room_.turn();
  peer.close();
  EXPECT_EQ(serve(), "message");
  EXPECT_EQ(serve("Content-Type: text/plain\r\n", "to nobody"), "message");
  EXPECT_EQ(last_.body, "2");
  EXPECT_EQ(serve(), "close");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, ClientThatEndsItsSideGetsAllAnswersBeforeItsCloseEvent) {
  start();
  Peer peer = accepted_client();
  peer.send("1\n2\n");
  peer.end_output();
  EXPECT_EQ(serve("Content-Type: text/plain\r\n", "re 1"), "message");
  EXPECT_EQ(room_.sessions.live(), 1u);
  EXPECT_EQ(serve("Content-Type: text/plain\r\n", "re 2"), "message");
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(peer.received(), "re 1\nre 2\n");
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "client closed");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

// The backend's own deadlines end what nobody answers.
TEST_F(AppTest, ClientThatEndedItsSideIsGoneWhenItsMessageHasFailed) {
  start();
  Peer peer = accepted_client();
  peer.send("1\n");
  peer.end_output();
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  EXPECT_TRUE(pass_until([&] { return peer.at_end(); }));
  EXPECT_EQ(serve(), "close");
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "backend failed");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, ReadingPausesWhileMaxPendingWait) {
  room_.lines.max_pending = 4;
  start();
  Peer peer = accepted_client();
  room_.turn();
  for (int i = 0; i < 10; ++i) {
    peer.send(std::to_string(i) + "\n");
    room_.turn();
  }
  EXPECT_EQ(stats().messages_in.get(), 4u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(serve(), "message");
    EXPECT_EQ(last_.body, std::to_string(i));
    room_.turn();
  }
  EXPECT_EQ(stats().messages_in.get(), 10u);
}

// A bound of messages, not of reads.
TEST_F(AppTest, OfOneReadNoMoreIsTakenThanMayWait) {
  room_.lines.max_pending = 4;
  start();
  Peer peer = accepted_client();
  std::string one_read;
  for (int i = 0; i < 5'000; ++i) one_read += std::to_string(i) + "\n";
  peer.send(one_read);
  for (int i = 0; i < 3; ++i) room_.turn();
  EXPECT_EQ(stats().messages_in.get(), 4u);
  EXPECT_GT(stats().bytes_undecoded.get(), 20'000u);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(serve(), "message");
    EXPECT_EQ(last_.body, std::to_string(i));
    room_.turn();
    EXPECT_LE(stats().messages_in.get(), uint64_t(i + 5));
  }
}

TEST_F(AppTest, ReadingPausesWhileLongMessagesWait) {
  room_.config.limits.max_pending_bytes = 20'000;
  start();
  Peer peer = accepted_client();
  EXPECT_EQ(stats().messages_waiting_bytes.get(), 0u);
  std::string line(10'000, 'x');
  for (int i = 0; i < 10; ++i) {
    peer.send(line + "\n");
    room_.turn();
  }
  EXPECT_EQ(stats().messages_in.get(), 2u)
      << "one in flight, and one waits: over 20,000 bytes with what they cost";
  EXPECT_GT(stats().messages_waiting_bytes.get(), 20'000u);
  EXPECT_LT(stats().messages_waiting_bytes.get(), 24'000u);
  EXPECT_EQ(stats().limits_waiting_bytes.get(), 1u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(serve(), "message");
  room_.turn();
  EXPECT_EQ(stats().messages_in.get(), 10u);
  EXPECT_TRUE(room_.turn_until([&] { return stats().messages_waiting_bytes.get() == 0; }));
}

// What many small messages cost is their places, not their bytes.
TEST_F(AppTest, TinyMessagesCountWithWhatKeepingThemCosts) {
  room_.config.limits.max_pending_bytes = 20'000;
  room_.lines.max_pending = 100'000;
  start();
  Peer peer = accepted_client();
  std::string one_read;
  for (int i = 0; i < 20'000; ++i) one_read += "x\n";
  peer.send(one_read);
  for (int i = 0; i < 10; ++i) room_.turn();
  EXPECT_GT(stats().messages_in.get(), 50u);
  EXPECT_LT(stats().messages_in.get(), 250u);
  EXPECT_EQ(stats().limits_waiting_bytes.get(), 1u);
}

TEST_F(AppTest, SessionsOfAWorkerShareABoundAndEachMayAlwaysHaveOne) {
  room_.config.limits.max_pending_bytes_per_worker = 25'000;
  start();
  Peer first = accepted_client(), second = accepted_client();
  std::string line(10'000, 'x');
  for (int i = 0; i < 3; ++i) {
    first.send(line + "\n");
    room_.turn();
  }
  EXPECT_EQ(stats().messages_in.get(), 3u);
  EXPECT_EQ(stats().limits_waiting_bytes.get(), 1u);
  for (int i = 0; i < 3; ++i) second.send(line + "\n");
  for (int i = 0; i < 3; ++i) room_.turn();
  EXPECT_EQ(stats().messages_in.get(), 4u);
  EXPECT_EQ(stats().limits_waiting_bytes.get(), 2u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(serve(), "message");
  EXPECT_EQ(stats().messages_in.get(), 6u);
  EXPECT_TRUE(room_.turn_until([&] { return stats().messages_waiting_bytes.get() == 0; }));
}

TEST_F(AppTest, WithoutOrderAtMostMaxPendingAreInFlight) {
  conf_.order = conf::Order::none;
  room_.lines.max_pending = 3;
  start({10, 100});
  Peer peer = accepted_client();
  std::string one_read;
  for (int i = 0; i < 50; ++i) one_read += std::to_string(i) + "\n";
  peer.send(one_read);
  room_.turn();
  EXPECT_EQ(stats().messages_in.get(), 3u);
  std::vector<std::unique_ptr<FakeConnection>> connections(3);
  std::vector<std::string> bodies;
  for (auto& connection : connections) bodies.push_back(next_request(connection).body);
  EXPECT_TRUE(server_.nobody_waits());
  reply(*connections[1], "");
  room_.turn();  // its input goes on
  bodies.push_back(next_request(connections[1]).body);
  EXPECT_TRUE(server_.nobody_waits());
  EXPECT_EQ(bodies, (std::vector<std::string>{"0", "1", "2", "3"}));
}

struct FailureCase {
  const char* name;
  std::string bytes;  // what the server writes before it closes
  std::string close;  // frame payload: code and reason
};

TEST_F(AppTest, FailedMessageClosesItsSessionAndDropsTheRest) {
  const FailureCase cases[] = {
      {"lost", fcgi::stdout_record("Content-"), "\x03\xf3the application did not answer"},
      {"no CGI", fcgi::stdout_record("no header at all") + fcgi::end_record(),
       "\x03\xf3the application did not answer"},
      {"overloaded", fcgi::end_record(0, 2), "\x03\xf5the application did not answer"},
      {"500", fcgi::answer("", "Status: 500 Oops\r\n"), "\x03\xf3the application failed"},
      {"no script",
       fcgi::stderr_record("Primary script unknown") +
           fcgi::answer("File not found.\n", "Status: 404 Not Found\r\n"),
       "\x03\xf3the application failed"},
      {"fatal error",
       fcgi::stderr_record("PHP message: PHP Fatal error:  Allowed memory size") +
           fcgi::answer("partial"),
       "\x03\xf3the application failed"},
      {"encoded", fcgi::answer("xyz", "Content-Encoding: br\r\n"),
       "\x03\xf3the application did not answer"},
      {"longer than a message", fcgi::answer(std::string(2001, 'x')),
       "\x03\xf3"
       "backend answer too long"},
      {"longer than max_response", fcgi::answer(std::string(4001, 'x')),
       "\x03\xf3"
       "backend answer too long"},
  };
  room_.config.limits.max_message_size = 2000;
  conf_.max_response = 4000;
  start();
  uint64_t abandoned = 0;
  for (const FailureCase& c : cases) {
    SCOPED_TRACE(c.name);
    Peer peer = room_.connect(room_.web, *backend_);
    test::shake_hands(peer);
    ASSERT_EQ(serve(), "connect");
    ASSERT_TRUE(room_.turn_until([&] { return behind_101(peer).empty(); }));
    peer.send(test::frame(1, "1") + test::frame(1, "2") + test::frame(1, "3"));
    std::unique_ptr<FakeConnection> connection;
    EXPECT_EQ(next_request(connection).body, "1");
    connection->write(c.bytes);
    connection->close();
    EXPECT_TRUE(room_.turn_until([&] { return !behind_101(peer).empty(); }));
    EXPECT_EQ(behind_101(peer), test::frame(8, c.close, {.masked = false}));
    EXPECT_EQ(stats().backend_abandoned.get(), abandoned += 2);
    EXPECT_EQ(serve(), "close");
    EXPECT_EQ(last_.params["HOLDFAST_REASON"], "backend failed");
    EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  }
  EXPECT_EQ(stats().backend_answers_too_long.get(), 2u);
  expect_pairs();
}

TEST_F(AppTest, Status500WithABodyIsAnAnswer) {
  start();
  Peer peer = accepted_client();
  peer.send("1\n");
  EXPECT_EQ(serve("Status: 500 Oops\r\n", "sorry"), "message");
  EXPECT_TRUE(room_.turn_until([&] { return peer.received() == "sorry\n"; }));
  EXPECT_EQ(room_.sessions.live(), 1u);
}

// The application's own, whatever its words and whatever it logs.
TEST_F(AppTest, StatusOf404WithABodyIsAnAnswer) {
  start();
  Peer peer = accepted_client();
  const std::string page = "File not found.\n",
                    said = fcgi::stderr_record("Primary script unknown");
  for (const std::string& bytes : {fcgi::answer(page, "Status: 404 Not Found\r\n"),
                                   said + fcgi::answer("no such room", "Status: 404 Not Found\r\n"),
                                   said + fcgi::answer(page)}) {
    peer.send("1\n");
    std::unique_ptr<FakeConnection> connection;
    next_request(connection);
    connection->write(bytes);
    connection->close();
    EXPECT_TRUE(room_.turn_until([&] { return !peer.received().empty(); }));
    EXPECT_EQ(room_.sessions.live(), 1u);
  }
  EXPECT_EQ(stats().backend_error_pages.get(), 0u);
}

TEST_F(AppTest, ErrorPageIsNoRefusalByTheApplication) {
  start();
  Peer peer = room_.connect(room_.web, *backend_);
  test::shake_hands(peer);
  std::unique_ptr<FakeConnection> connection;
  next_request(connection);
  connection->write(
      fcgi::stderr_record(
          "Access to the script '/x' has been denied (see security.limit_extensions)") +
      fcgi::answer("Access denied.\n", "Status: 403 Forbidden\r\n"));
  connection->close();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 502 ")) << peer.received();
  EXPECT_EQ(stats().events_connect_failed.get(), 1u);
  EXPECT_EQ(stats().events_connect_refused.get(), 0u);
  EXPECT_EQ(stats().backend_error_pages.get(), 1u);
  EXPECT_EQ(stats().backend_failed.get(), 1u);
  expect_pairs();
}

TEST_F(AppTest, CloseEventThatNoScriptHasSeenIsTriedAgain) {
  start();
  Peer peer = accepted_client();
  peer.close();
  std::unique_ptr<FakeConnection> connection;
  EXPECT_EQ(next_request(connection).params["HOLDFAST_EVENT"], "close");
  connection->write(fcgi::stderr_record("Primary script unknown") +
                    fcgi::answer("File not found.\n", "Status: 404 Not Found\r\n"));
  connection->close();
  EXPECT_TRUE(pass_until([&] { return stats().events_close_retried.get() == 1; }));
  ASSERT_TRUE(pass_until([&] { return !server_.nobody_waits(); }));
  EXPECT_EQ(serve(), "close");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  expect_pairs();
}

TEST_F(AppTest, FullQueueClosesTheSessionOfAMessageWith1013) {
  conf_.event_connect = conf_.event_close = false;
  start({1, 1});
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(room_.connect(room_.web, *backend_));
    test::shake_hands(peers.back());
    ASSERT_TRUE(room_.turn_until([&] { return behind_101(peers.back()).empty(); }));
    peers.back().send(test::frame(1, "x"));
    room_.turn();
  }
  EXPECT_TRUE(room_.turn_until([&] { return !behind_101(peers[2]).empty(); }));
  EXPECT_EQ(behind_101(peers[2]),
            test::frame(8, "\x03\xf5the application is overloaded", {.masked = false}));
  EXPECT_EQ(room_.sessions.size(), 2u);
  for (Peer& peer : peers) peer.close();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(serve(), "message");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
}

// ---- the close event's troubles

TEST_F(AppTest, CloseEventIsTriedAgainUntilAServerAnswers) {
  start();
  Peer peer = accepted_client();
  server_.stop();
  peer.close();
  EXPECT_TRUE(pass_until([&] { return stats().events_close_retried.get() >= 3; }));
  EXPECT_EQ(owed(), 1u);
  server_.start();
  ASSERT_TRUE(pass_until([&] { return !server_.nobody_waits(); }));
  EXPECT_EQ(serve(), "close");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_EQ(stats().events_close.get(), 1u);
  expect_pairs();
}

TEST_F(AppTest, CloseEventIsGivenUpAfterCloseRetryAndCounted) {
  conf_.close_retry_ms = 30'000;
  start();
  Peer peer = accepted_client();
  server_.stop();
  peer.close();
  EXPECT_TRUE(pass_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_EQ(stats().events_close_lost.get(), 1u);
  expect_pairs();
}

// Messages of others keep the queue full all the time.
TEST_F(AppTest, CloseEventIsGivenUpAlsoWhereTheQueueNeverHasRoom) {
  conf_.close_retry_ms = 30'000;
  conf_.read_timeout_ms = 3'600'000;
  start({1, 2});
  Peer peer = accepted_client();
  Peer others[3] = {accepted_client(), accepted_client(), accepted_client()};
  for (Peer& other : others) {
    other.send("x\n");
    room_.turn();
  }
  ASSERT_EQ(stats().backend_queued.get(), 2u);
  peer.close();
  EXPECT_TRUE(pass_until([&] { return stats().events_close_lost.get() == 1; }));
  EXPECT_EQ(stats().backend_queued.get(), 2u);
  EXPECT_EQ(room_.sessions.size(), 3u);
  EXPECT_EQ(owed(), 0u);
}

// Newcomers leave a quarter of the queue to close events, and wait while more of these wait than that.
TEST_F(AppTest, CloseEventsGoBeforeNewcomersWhereTheQueueIsFull) {
  start({1, 8});
  std::vector<Peer> leaving;
  for (int i = 0; i < 4; ++i) leaving.push_back(accepted_client());
  std::vector<Peer> newcomers;
  auto newcomer = [&] {
    newcomers.push_back(room_.connect(room_.web, *backend_));
    test::shake_hands(newcomers.back());
    room_.turn();
  };
  for (int i = 0; i < 8; ++i) newcomer();  // one in flight, six in the queue, one is refused
  EXPECT_EQ(stats().backend_queued.get(), 6u);
  EXPECT_TRUE(room_.turn_until([&] { return newcomers.back().at_end(); }));
  for (Peer& peer : leaving) peer.close();
  EXPECT_TRUE(room_.turn_until([&] { return owed() == 4; }));
  EXPECT_EQ(stats().backend_queued.get(), 8u) << "two close events";
  newcomer();
  EXPECT_EQ(stats().events_connect_held.get(), 1u);
  newcomer();
  newcomers.back().close();  // who leaves meanwhile leaves nothing behind
  room_.turn();
  std::string order;
  for (int i = 0; i < 12; ++i) order += serve()[1];
  EXPECT_EQ(order,
            "ooooooo"
            "ll"
            "ll"
            "o");
  EXPECT_EQ(stats().events_close.get(), 4u);
  EXPECT_EQ(stats().events_connect_held.get(), 2u);
}

TEST_F(AppTest, NewcomerThatWaitsTooLongForCloseEventsIsRefused) {
  conf_.read_timeout_ms = 20'000;
  start({1, 4});
  std::vector<Peer> leaving;
  for (int i = 0; i < 3; ++i) leaving.push_back(accepted_client());
  for (Peer& peer : leaving) peer.close();
  EXPECT_TRUE(room_.turn_until([&] { return owed() == 3; }));
  std::unique_ptr<FakeConnection> silent;
  next_request(silent);
  Peer late = room_.connect(room_.web, *backend_);
  test::shake_hands(late);
  EXPECT_TRUE(room_.turn_until([&] { return stats().events_connect_held.get() == 1; }));
  EXPECT_TRUE(pass_until([&] { return late.at_end(); }));
  EXPECT_TRUE(late.received().starts_with("HTTP/1.1 503 ")) << late.received();
}

TEST_F(AppTest, AbandonGivesUpWhatIsOwedAndTellsTheDirectory) {
  start();
  Peer peer = accepted_client(), live = accepted_client();
  server_.stop();
  peer.close();
  EXPECT_TRUE(pass_until([&] { return stats().events_close_retried.get() >= 1; }));
  backend_->abandon();
  backend_->abandon();
  EXPECT_EQ(stats().events_close_lost.get(), 1u);
  EXPECT_EQ(owed(), 0u);
  test::Room successor(instance_);
  EXPECT_EQ(successor.sessions.orphans().size(), 1u) << "the one that is still connected";
}

// ---- a worker that was killed

// The room stands still, as if its process had been killed; what it left in the segment is adopted.
class CrashTest : public AppTest {
 protected:
  void adopt_what_is_left() {
    shm::clear_gauges(stats());
    heir_ = std::make_unique<test::Room>(instance_);
    heirs_backend_ = make_backend(*heir_, {4, 100});
    for (const shm::SessionView& view : heir_->sessions.orphans()) {
      Session& session = heir_->sessions.adopt(view, heir_->lines, *heirs_backend_);
      heirs_backend_->adopt(session, view);
    }
  }
  void TearDown() override {
    if (heir_) {
      heir_->loop.bury();
      heirs_backend_.reset();
      heir_->loop.bury();
    }
    AppTest::TearDown();
  }
  std::unique_ptr<test::Room> heir_;
  std::unique_ptr<AppBackend> heirs_backend_;

  // Serves one request of the heir.
  std::string serve_heir() {
    std::unique_ptr<FakeConnection> connection;
    last_ = next_request(connection);
    connection->write(fcgi::answer(""));
    heir_->turn_until([&] { return heir_->sessions.size() == 0; });
    return last_.params["HOLDFAST_EVENT"];
  }
};

TEST_F(CrashTest, SuccessorSendsTheCloseEventOfAnOpenSession) {
  start();
  Peer peer = accepted_client();
  std::string id = room_.session_of(peer)->id.hex();
  room_.sessions.set_user(*room_.session_of(peer), "ann");
  adopt_what_is_left();
  EXPECT_EQ(owed(), 1u);
  EXPECT_EQ(serve_heir(), "close");
  EXPECT_EQ(last_.params["SESSIONID"], id);
  EXPECT_EQ(last_.params["HOLDFAST_REASON"], "worker crashed");
  EXPECT_EQ(last_.params["HOLDFAST_USER"], "ann");
  EXPECT_EQ(stats().events_connect.get(), 1u);
  EXPECT_EQ(stats().events_close.get(), 1u);
  EXPECT_EQ(owed(), 0u);
}

// The application may have seen the connect event; nobody is left who waits for its answer.
TEST_F(CrashTest, SuccessorSendsTheCloseEventOfASessionThatWasConnecting) {
  start();
  Peer peer = tcp_client();
  std::unique_ptr<FakeConnection> connection;
  std::string id = next_request(connection).params["SESSIONID"];
  adopt_what_is_left();
  EXPECT_EQ(serve_heir(), "close");
  EXPECT_EQ(last_.params["SESSIONID"], id);
  EXPECT_EQ(stats().events_connect.get(), 1u);
  EXPECT_EQ(stats().events_close.get(), 1u);
  EXPECT_EQ(owed(), 0u);
}

TEST_F(CrashTest, NothingIsOwedForARefusedSession) {
  start();
  Peer peer = tcp_client();
  EXPECT_EQ(serve("Status: 403 No\r\n"), "connect");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  adopt_what_is_left();
  EXPECT_EQ(heir_->sessions.size(), 0u);
}

}  // namespace
}  // namespace holdfast
