// Clients that name a key, on the wire: what they are told, and what becomes of their session.

#include "worker/clients/come_back.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast {
namespace {

using test::behind_101;
using test::Peer;

const std::string kKey = "Holdfast-tests_000001A";

std::string pushed(std::string_view text) {
  return test::frame(1, text, {.masked = false});
}

class ComeBack : public ::testing::Test {
 protected:
  ComeBack() { room_.web.resume_ms = 60'000; }
  Peer ask(const std::string& query, const std::string& headers = {}) {
    Peer peer = room_.connect(room_.web, room_.backend);
    peer.send("GET /ws?" + query +
              " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
              headers + "\r\n");
    EXPECT_TRUE(
        room_.turn_until([&] { return peer.received().find("\r\n\r\n") != std::string::npos; }));
    return peer;
  }
  Peer open(const std::string& query = "resume=" + kKey) {
    Peer peer = ask(query);
    EXPECT_NE(room_.session_of(peer), nullptr) << peer.received();
    return peer;
  }
  bool hears(Peer& peer, const std::string& all) {
    return room_.turn_until([&] { return behind_101(peer) == all; });
  }
  static std::string hello(const Session& session, bool resumed, int seen, int window = 60) {
    return pushed(
        fmt::format(R"({{"holdfast":{{"session":"{}","resumed":{},"seen":{},"window":{}}}}})",
                    session.id.hex(), resumed, seen, window));
  }
  bool send(Session& session, std::string_view text) {
    Payload payload(text, false);
    return room_.sessions.deliver(session, payload, Urgency::urgent);
  }
  void cut(Peer& peer) {
    uint64_t before = stats().sessions_detached.get();
    peer.close();
    EXPECT_TRUE(room_.turn_until([&] { return stats().sessions_detached.get() == before + 1; }));
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
};

TEST_F(ComeBack, TheSecretIsTakenOutOfTheRequest) {
  auto target = [](const std::string& given) {
    http::Request request;
    request.target = given;
    return without_key(request).target;
  };
  EXPECT_EQ(target("/ws"), "/ws");
  EXPECT_EQ(target("/ws?resume=" + kKey), "/ws");
  EXPECT_EQ(target("/ws?a=1&resume=" + kKey + "&seen=4&b=%20&session=5"), "/ws?a=1&b=%20");
  EXPECT_EQ(target("/ws?%72esume=" + kKey + "&resume"), "/ws");
  EXPECT_EQ(target("http://host/ws?resume=x&&a"), "http://host/ws?&a");
}

TEST_F(ComeBack, WithoutAKeyOrAWindowThereIsNoHello) {
  Peer plain = open("a=1");
  EXPECT_EQ(behind_101(plain), "");
  room_.web.resume_ms = 0;
  Peer off = open();
  EXPECT_EQ(behind_101(off), "");
  EXPECT_EQ(stats().resume_sessions.get(), 0u);
  plain.close();
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 1; }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::connection_lost});
}

TEST_F(ComeBack, WhatWasPushedBeforeThe101ComesAfterTheHello) {
  room_.backend.accepts = false;
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send("GET /ws?resume=" + kKey +
            " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer) != nullptr; }));
  Session& session = *room_.session_of(peer);
  EXPECT_TRUE(send(session, "early"));
  session.transport->accept({});
  EXPECT_TRUE(hears(peer, hello(session, false, 0) + pushed("early")));
}

TEST_F(ComeBack, AKeyWhoseSessionIsStillConnectingIsTheNextOnes) {
  room_.backend.accepts = false;
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send("GET /ws?resume=" + kKey +
            " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer) != nullptr; }));
  room_.backend.accepts = true;
  Peer again = open("resume=" + kKey + "&seen=0");
  EXPECT_TRUE(hears(again, hello(*room_.session_of(again), false, 0)));
  EXPECT_EQ(room_.sessions.live(), 1u);
  EXPECT_TRUE(room_.turn_until([&] { return peer.received().starts_with("HTTP/1.1 503 "); }));
}

TEST_F(ComeBack, MissedMessagesComeOnceAndThoseOfTheOldQueueToo) {
  Peer peer = open();
  Session& session = *room_.session_of(peer);
  for (const char* text : {"one", "two", "three"}) EXPECT_TRUE(send(session, text));
  room_.turn();
  cut(peer);
  EXPECT_TRUE(send(session, "four"));
  Peer back = open("resume=" + kKey + "&seen=2");
  EXPECT_TRUE(send(session, "five"));
  EXPECT_TRUE(
      hears(back, hello(session, true, 2) + pushed("three") + pushed("four") + pushed("five")));
  EXPECT_EQ(room_.session_of(back), &session);
  cut(back);
  Peer last = open("resume=" + kKey + "&seen=5&session=" + session.id.hex());
  EXPECT_TRUE(hears(last, hello(session, true, 5)));
  last.send(test::frame(1, "from the client"));
  EXPECT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 1; }));
  EXPECT_TRUE(room_.backend.endings.empty());
}

TEST_F(ComeBack, ASlowConsumersThrownAwayMessagesAreNotCounted) {
  room_.web.send_queue = 300'000;
  room_.web.resume_buffer = 250'000;
  room_.web.slow_consumer = conf::SlowConsumer::drop_oldest;
  Peer peer = open();
  Session& session = *room_.session_of(peer);
  int small = 4096;
  setsockopt(session.transport->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(send(session, std::string(1, char('A' + i)) + std::string(60'000, 'x')));
    room_.turn();
  }
  EXPECT_GT(stats().messages_dropped_slow.get(), 0u);
  ASSERT_TRUE(
      room_.turn_until([&] { return (void)peer.received(), session.transport->unsent() == 0; }));
  size_t had = 0, at = behind_101(peer).find("}}") + 2;
  std::string all = behind_101(peer);
  for (; at < all.size(); at += 4 + 60'001) ++had;
  ASSERT_EQ(at, all.size());
  EXPECT_EQ(had, 12 - stats().messages_dropped_slow.get());
  cut(peer);
  EXPECT_TRUE(send(session, "later"));
  Peer back = open("resume=" + kKey + "&seen=" + std::to_string(had));
  EXPECT_TRUE(hears(back, hello(session, true, int(had)) + pushed("later")));
}

// What is kept is no connection's: it goes as it is, and what comes later as the new connection has agreed.
TEST_F(ComeBack, DeflatedMessagesAreSentAgainAsTheyAre) {
  room_.web.permessage_deflate = conf::PermessageDeflate{.min_size = 1};
  const std::string offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  Peer peer = ask("resume=" + kKey, offer);
  Session& session = *room_.session_of(peer);
  std::string text(100, 'x');
  EXPECT_TRUE(send(session, text));
  size_t greeting = hello(session, false, 0).size();
  ASSERT_TRUE(room_.turn_until([&] { return behind_101(peer).size() > greeting; }));
  EXPECT_EQ(behind_101(peer)[greeting], '\xc1');
  cut(peer);
  Peer back = ask("resume=" + kKey + "&seen=0", offer);
  std::string again = hello(session, true, 0) + pushed(text);
  EXPECT_TRUE(hears(back, again));
  EXPECT_TRUE(send(session, text));
  ASSERT_TRUE(room_.turn_until([&] { return behind_101(back).size() > again.size(); }));
  EXPECT_EQ(behind_101(back)[again.size()], '\xc1');
}

TEST_F(ComeBack, TheSecondConnectionTakesOver) {
  Peer first = open();
  Session& session = *room_.session_of(first);
  Peer second = open("resume=" + kKey + "&seen=0");
  EXPECT_EQ(room_.session_of(second), &session);
  std::string goodbye =
      test::frame(8, "\x11\x39taken over by another connection", {.masked = false});
  EXPECT_TRUE(room_.turn_until([&] { return first.received().ends_with(goodbye); }));
  first.close();
  EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 1; }));
  EXPECT_TRUE(send(session, "here"));
  EXPECT_TRUE(hears(second, hello(session, true, 0) + pushed("here")));
  EXPECT_EQ(stats().sessions_online.get(), 1u);
  EXPECT_EQ(stats().resume_taken_over.get(), 1u);
  EXPECT_TRUE(room_.backend.endings.empty());
}

TEST_F(ComeBack, MalformedOnesAreRefusedByName) {
  Peer first = open();
  for (const char* query :
       {"resume=", "resume=x", "resume=%2", "resume=Holdfast-tests_000001B",
        "resume=Holdfast-tests_000001A&seen=", "resume=Holdfast-tests_000001A&seen=+1",
        "resume=Holdfast-tests_000001A&seen=1&session=1",
        "resume=Holdfast-tests_000001A&resume=Holdfast-tests_000001A"}) {
    Peer peer = ask(query);
    EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 400 ")) << query;
    EXPECT_EQ(peer.received().find("tests_"), std::string::npos) << "a key is not repeated";
  }
  EXPECT_EQ(stats().resume_bad_key.get(), 8u);
  EXPECT_EQ(room_.sessions.live(), 1u);
  EXPECT_EQ(stats().resume_taken_over.get(), 0u);
}

TEST_F(ComeBack, OneThatHasSeenTooMuchLeavesTheSessionAlone) {
  Peer first = open();
  Session& session = *room_.session_of(first);
  EXPECT_TRUE(send(session, "one"));
  Peer ahead = open("resume=" + kKey + "&seen=2");
  EXPECT_TRUE(hears(ahead, hello(*room_.session_of(ahead), false, 0, 0)));
  EXPECT_TRUE(hears(first, hello(session, false, 0) + pushed("one")));
  EXPECT_EQ(stats().resume_ahead.get(), 1u);
  ahead.close();
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.live() == 1; })) << "not resumable";
}

TEST_F(ComeBack, SilenceDetachesWithAGoodbye) {
  room_.web.idle_timeout_ms = 500;
  room_.web.ping_interval_ms = 0;
  Peer peer = open();
  Session& session = *room_.session_of(peer);
  room_.pass(600);
  EXPECT_EQ(session.phase, SessionPhase::detached);
  EXPECT_TRUE(room_.turn_until([&] { return peer.received().ends_with("idle timeout"); }));
  Peer back = open("resume=" + kKey + "&seen=0");
  EXPECT_TRUE(hears(back, hello(session, true, 0)));
}

TEST_F(ComeBack, GoodbyesAndErrorsEndTheSession) {
  Peer peer = open();
  peer.send(test::close_frame(1000));
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  Peer broken = open();
  broken.send("\xff\xff\xff\xff");
  EXPECT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_EQ(room_.backend.endings, (std::vector{EndReason::client_closed, EndReason::protocol}));
  EXPECT_EQ(stats().sessions_detached.get(), 0u);
  EXPECT_EQ(stats().resume_sessions.get(), 0u);
}

}  // namespace
}  // namespace holdfast
