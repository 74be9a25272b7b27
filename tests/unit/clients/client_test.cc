// What a Client does at its edges: slow readers, half-closed connections, silence, the end of the
// worker. Both ends are in this process.

#include "worker/clients/client.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast {
namespace {

using test::behind_101;
using test::Peer;

class ClientTest : public ::testing::Test {
 protected:
  Peer web_client(std::string_view more = {}) {
    Peer peer = room_.connect(room_.web, room_.backend);
    test::shake_hands(peer, more);
    return peer;
  }
  Peer open_web_client() {
    Peer peer = web_client();
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).empty(); })) << peer.received();
    return peer;
  }
  // A TCP client that has said all, and waits for answers (as long as the backend is busy).
  Peer half_closed_client() {
    Peer peer = room_.connect();
    size_t before = room_.backend.messages.size();
    peer.send("question\n");
    peer.end_output();
    EXPECT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() > before; }));
    for (int i = 0; i < 2; ++i) room_.turn();
    EXPECT_NE(room_.session_of(peer), nullptr);
    return peer;
  }
  bool send(Session& session, std::string_view text) {
    Payload payload(text, false);
    return room_.sessions.deliver(session, payload, Urgency::urgent);
  }
  // More than a socket takes at once, so that output is queued here.
  size_t fill(Session& session, size_t bytes = 4'000'000) {
    std::string line(bytes, 'x');
    EXPECT_TRUE(send(session, line));
    room_.turn();
    EXPECT_GT(session.transport->unsent(), 0u);
    return bytes;
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }
  void expect_nothing_left() {
    EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
    EXPECT_EQ(stats().connections_open.get(), 0u);
    EXPECT_EQ(stats().sessions_online.get(), 0u);
    EXPECT_EQ(stats().bytes_unsent.get(), 0u);
    EXPECT_EQ(stats().memberships.get(), 0u);
    EXPECT_EQ(room_.sessions.size(), 0u);
    EXPECT_EQ(room_.sessions.live(), 0u);
  }

  test::Instance instance_;
  test::Room room_{instance_};
};

TEST_F(ClientTest, PushesDuringTheHandshakeComeBehindThe101InOrder) {
  room_.backend.accepts = false;
  Peer peer = web_client();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer) != nullptr; }));
  Session& session = *room_.session_of(peer);
  EXPECT_TRUE(send(session, "one"));
  room_.turn();
  EXPECT_EQ(peer.received(), "");
  EXPECT_TRUE(send(session, "two"));
  session.transport->accept({});
  EXPECT_TRUE(send(session, "three"));
  std::string expected = "\x81\3one\x81\3two\x81\5three";
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer) == expected; })) << peer.received();
}

TEST_F(ClientTest, MessageSentWithTheHandshakeIsTheFirst) {
  Peer peer = room_.connect(room_.web, room_.backend);
  test::shake_hands(peer, "X-Test: 1\r\n");
  peer.send(test::frame(1, "early"));
  ASSERT_TRUE(room_.turn_until([&] { return room_.backend.messages.size() == 1; }));
  EXPECT_EQ(room_.backend.messages[0], "early");
}

TEST_F(ClientTest, SlowOneLosesItsQueueAndIsTold1008) {
  room_.web.send_queue = 3'000'000;
  Peer peer = open_web_client();
  Session& session = *room_.session_of(peer);
  fill(session, 2'900'000);
  EXPECT_TRUE(send(session, std::string(1000, 'y')));
  EXPECT_FALSE(send(session, std::string(1'500'000, 'z')));
  EXPECT_EQ(room_.backend.endings.size(), 0u) << "not while a channel's members are walked";
  room_.turn();
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::slow});
  EXPECT_LT(stats().bytes_unsent.get(), 2'900'000u + 100);
  ASSERT_TRUE(room_.turn_until([&] {
    return peer.received().ends_with(test::frame(8, "\x03\xf0slow consumer", {.masked = false}));
  }));
  EXPECT_EQ(behind_101(peer).find('y'), std::string::npos);
  peer.send(test::close_frame(1008));
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  peer.close();
  expect_nothing_left();
}

// What a slow reader gets by each policy: always whole messages in order, the pong between them, and the last bound's worth
// or less.
class SlowPolicies : public ClientTest {
 protected:
  // Messages "0" ... "19" of 100,000 bytes, the first taken by the kernel in part; a ping of the client after the tenth.
  // What was heard of them: "0 1 pong 19".
  std::string heard_with(conf::SlowConsumer policy) {
    room_.web.send_queue = 500'000;
    room_.web.slow_consumer = policy;
    Peer peer = open_web_client();
    Session& session = *room_.session_of(peer);
    int small = 4096;
    setsockopt(session.transport->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int i = 0; i < 20; ++i) {
      delivered_ += send(session, std::string(1, char('A' + i)) + std::string(99'999, 'x'));
      room_.turn();
      if (i != 10) continue;
      peer.send(test::frame(9, "beat"));
      EXPECT_TRUE(room_.turn_until([&] { return stats().bytes_in.get() > 0; }));
      for (int n = 0; n < 3; ++n) room_.turn();
    }
    EXPECT_LE(stats().bytes_unsent.get(), 600'000u);
    EXPECT_TRUE(
        room_.turn_until([&] { return (void)peer.received(), session.transport->unsent() == 0; }));
    std::string heard, all = behind_101(peer);
    while (!all.empty()) {
      bool pong = all.starts_with(
          "\x8a\x04"
          "beat");
      EXPECT_TRUE(pong || (all.starts_with(std::string("\x81\x7f\0\0\0\0\0\x01\x86\xa0", 10)) &&
                           all.size() >= 100'010 &&
                           all.compare(11, 99'999, std::string(99'999, 'x')) == 0));
      heard += pong ? '!' : all[10];
      all.erase(0, pong ? 6 : 100'010);
    }
    EXPECT_EQ(stats().bytes_unsent.get(), 0u);
    return heard;
  }
  int delivered_ = 0;
};

TEST_F(SlowPolicies, DropNewestKeepsWhatCameFirst) {
  std::string heard = heard_with(conf::SlowConsumer::drop_newest);
  EXPECT_TRUE(heard.starts_with("ABCD")) << heard;
  EXPECT_EQ(heard.find('T'), heard.npos);
  EXPECT_NE(heard.find('!'), heard.npos);
  EXPECT_EQ(stats().messages_dropped_slow.get(), 20 - (heard.size() - 1));
  EXPECT_EQ(size_t(delivered_), heard.size() - 1);
}

TEST_F(SlowPolicies, DropOldestKeepsWhatCameLast) {
  std::string heard = heard_with(conf::SlowConsumer::drop_oldest);
  EXPECT_TRUE(heard.starts_with("A")) << heard;  // sent in part before the bound was reached
  EXPECT_TRUE(heard.ends_with("RST")) << heard;
  EXPECT_NE(heard.find('!'), heard.npos);
  EXPECT_TRUE(std::is_sorted(heard.begin() + 1, heard.begin() + std::ptrdiff_t(heard.find('!'))));
  EXPECT_EQ(stats().messages_dropped_slow.get(), 20 - (heard.size() - 1));
  EXPECT_EQ(delivered_, 20);
}

TEST_F(SlowPolicies, KeepLatestKeepsTheLast) {
  std::string heard = heard_with(conf::SlowConsumer::keep_latest);
  EXPECT_TRUE(heard.starts_with("A")) << heard;
  EXPECT_TRUE(heard.ends_with("T")) << heard;
  EXPECT_LT(heard.size(), 10u);
  EXPECT_NE(heard.find('!'), heard.npos);
  EXPECT_EQ(stats().messages_dropped_slow.get(), 20 - (heard.size() - 1));
}

TEST_F(SlowPolicies, AMessageLargerThanTheBoundDisturbsNoOther) {
  room_.web.send_queue = 1000;
  for (auto policy : {conf::SlowConsumer::drop_newest, conf::SlowConsumer::drop_oldest,
                      conf::SlowConsumer::keep_latest}) {
    room_.web.slow_consumer = policy;
    Peer peer = open_web_client();
    Session& session = *room_.session_of(peer);
    EXPECT_TRUE(send(session, "before"));
    EXPECT_FALSE(send(session, std::string(2000, 'x')));
    EXPECT_TRUE(send(session, "after"));
    EXPECT_TRUE(room_.turn_until([&] {
      return behind_101(peer) == std::string(
                                     "\x81\x06"
                                     "before\x81\x05"
                                     "after");
    }));
  }
}

// Messages of channels with rules, beside others: each of 10,000 bytes begins with its name, and five are too much.
class SlowChannels : public ClientTest {
 protected:
  SlowChannels() {
    using conf::SlowConsumer;
    room_.config.channels = {{"ticker.*", SlowConsumer::keep_latest},
                             {"feed.*", SlowConsumer::drop_oldest},
                             {"ticker.log", SlowConsumer::close},  // the first counts
                             {"log", SlowConsumer::drop_newest}};
    room_.web.send_queue = 3'000'000;
    peer_.emplace(open_web_client());
    session_ = room_.session_of(*peer_);
    for (const char* channel : {"ticker.a", "ticker.b", "ticker.log", "feed.x", "feed.y", "log"})
      EXPECT_EQ(room_.sessions.join(*session_, channel), Hub::Joined::joined);
    fill(*session_, kFirst);
    room_.web.send_queue = session_->transport->unsent() + 50'000;
  }
  // Delivered to how many.
  uint64_t publish(const char* channel, const std::string& name) {
    return room_
        .execute({.op = Op::publish, .channels = {channel}, .data = name + std::string(9'998, 'x')})
        .delivered;
  }
  // The names of what waited, in order.
  std::string heard() {
    EXPECT_TRUE(room_.turn_until(
        [&] { return (void)peer_->received(), session_->transport->unsent() == 0; }));
    std::string names, all = behind_101(*peer_).substr(kFirst + 10);
    for (size_t at = 0; at < all.size(); at += 10'004) names += all.substr(at + 4, 2) + " ";
    return names;
  }
  static constexpr size_t kFirst = 2'500'000;
  std::optional<Peer> peer_;
  Session* session_ = nullptr;
};

TEST_F(SlowChannels, EachGoesItsOwnWay) {
  EXPECT_EQ(publish("ticker.a", "a1"), 1u);
  EXPECT_EQ(publish("ticker.b", "b1"), 1u);
  EXPECT_EQ(publish("feed.x", "x1"), 1u);
  EXPECT_EQ(publish("ticker.a", "a2"), 1u);
  EXPECT_EQ(publish("ticker.a", "a3"), 1u);  // a1 and a2 go
  EXPECT_EQ(stats().messages_dropped_slow.get(), 2u);
  EXPECT_EQ(publish("log", "l1"), 1u);
  EXPECT_EQ(publish("log", "l2"), 0u);  // it goes itself
  EXPECT_EQ(stats().messages_dropped_slow.get(), 3u);
  EXPECT_EQ(publish("feed.y", "y1"), 1u);  // x1 goes
  EXPECT_EQ(publish("ticker.log", "t1"), 0u) << "nothing of its own waits, so it goes itself";
  EXPECT_EQ(stats().messages_dropped_slow.get(), 5u);
  EXPECT_EQ(stats().messages_dropped.get(), 5u);
  EXPECT_EQ(heard(), "b1 a3 l1 y1 ");
}

TEST_F(SlowChannels, AndAllOthersTheListeners) {
  for (const char* name : {"a1", "a2", "a3", "a4"}) EXPECT_EQ(publish("ticker.a", name), 1u);
  room_.web.slow_consumer = conf::SlowConsumer::keep_latest;
  EXPECT_FALSE(send(*session_, std::string(20'000, 'x'))) << "messages of rules stay";
  room_.web.slow_consumer = conf::SlowConsumer::close;
  EXPECT_FALSE(send(*session_, std::string(20'000, 'x')));
  room_.turn();
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::slow});
}

// One publish to several channels is framed for each way by itself.
TEST_F(SlowChannels, OnePublishToSeveral) {
  EXPECT_EQ(room_
                .execute({.op = Op::publish,
                          .channels = {"ticker.a", "feed.x", "ticker.b"},
                          .data = "m1" + std::string(9'998, 'x')})
                .delivered,
            3u);
  publish("log", "l1");
  EXPECT_EQ(publish("feed.y", "y1"), 1u);
  EXPECT_EQ(publish("ticker.b", "b2"), 1u);
  EXPECT_EQ(publish("ticker.a", "a2"), 1u);
  EXPECT_EQ(heard(), "l1 y1 b2 a2 ");
}

// Too much for its bound in the very turn it was let in: it still learns who is speaking.
TEST_F(ClientTest, SlowOneIsNotSentACloseFrameInPlaceOfThe101) {
  room_.web.send_queue = 1000;
  room_.backend.accepts = false;
  Peer peer = web_client();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(peer) != nullptr; }));
  Session& session = *room_.session_of(peer);
  session.transport->accept({});
  EXPECT_FALSE(send(session, std::string(2000, 'x')));
  ASSERT_TRUE(room_.turn_until([&] { return !peer.received().empty(); }));
  EXPECT_EQ(behind_101(peer), test::frame(8, "\x03\xf0slow consumer", {.masked = false}));
}

TEST_F(ClientTest, PingsThatAreNotReadEndAsSlowConsumer) {
  room_.web.send_queue = 1000;
  Peer peer = open_web_client();
  std::string pings;
  for (int i = 0; i < 500; ++i) pings += test::frame(9, std::string(100, 'p'));
  // Its own socket is never read, so sooner or later nothing goes out any more.
  ASSERT_TRUE(test::eventually([&] {
    peer.send(pings);
    room_.turn();
    return !room_.backend.endings.empty();
  }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::slow});
  EXPECT_LT(stats().bytes_unsent.get(), 2000u);
}

TEST_F(ClientTest, TcpClientThatEndsItsSideStillGetsWhatIsQueued) {
  room_.lines.send_queue = 10'000'000;
  Peer peer = room_.connect();
  size_t bytes = fill(*room_.session_of(peer));
  peer.end_output();
  EXPECT_TRUE(room_.turn_until([&] { return !room_.backend.endings.empty(); }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::client_closed});
  for (int i = 0; i < 3; ++i) room_.turn();  // its end of file is there all the time
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(peer.received().size(), bytes + 1);
  expect_nothing_left();
}

TEST_F(ClientTest, TcpClientThatEndsItsSideAndDoesNotReadIsGivenUp) {
  room_.lines.send_queue = 10'000'000;
  Peer peer = room_.connect();
  fill(*room_.session_of(peer));
  peer.end_output();
  EXPECT_TRUE(room_.turn_until([&] { return !room_.backend.endings.empty(); }));
  room_.pass(room_.lines.close_timeout_ms + 200);
  expect_nothing_left();
}

// The rows of `half_closed`: what it has said is still answered, however late.
TEST_F(ClientTest, TcpClientThatEndsItsSideIsAnsweredBeforeItsSessionEnds) {
  room_.backend.owes_answers = true;
  Peer peer = half_closed_client();
  Session& session = *room_.session_of(peer);
  for (int i = 0; i < 3; ++i) room_.turn();  // its end of file is there all the time
  room_.pass(100'000);                       // no silence of the client is counted
  EXPECT_TRUE(room_.backend.endings.empty());
  EXPECT_TRUE(send(session, "one"));
  session.transport->all_answered();
  EXPECT_TRUE(room_.backend.endings.empty()) << "another answer is owed";
  EXPECT_TRUE(send(session, "two"));
  room_.backend.owes_answers = false;
  session.transport->all_answered();
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::client_closed});
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(peer.received(), "one\ntwo\n");
  expect_nothing_left();
}

TEST_F(ClientTest, HalfClosedOneThatDoesNotReadItsAnswersIsGivenUp) {
  room_.lines.send_queue = 10'000'000;
  room_.backend.owes_answers = true;
  Peer peer = half_closed_client();
  Session& session = *room_.session_of(peer);
  fill(session);
  room_.backend.owes_answers = false;
  session.transport->all_answered();
  room_.pass(room_.lines.close_timeout_ms + 200);
  expect_nothing_left();
}

TEST_F(ClientTest, HalfClosedOneThatIsGoneWasNotLost) {
  room_.backend.owes_answers = true;
  Peer peer = half_closed_client();
  Session& session = *room_.session_of(peer);
  peer.close();
  ASSERT_TRUE(room_.turn_until([&] {
    if (room_.backend.endings.empty()) send(session, "to nobody");
    return !room_.backend.endings.empty();
  }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::client_closed});
  expect_nothing_left();
}

TEST_F(ClientTest, HalfClosedOneIsKickedSlowAndStoppedLikeOthers) {
  room_.backend.owes_answers = true;
  room_.lines.send_queue = 1000;
  Peer kicked = half_closed_client(), slow = half_closed_client(), stopped = half_closed_client();
  room_.session_of(kicked)->transport->close(4000, "bye", EndReason::kicked);
  EXPECT_FALSE(send(*room_.session_of(slow), std::string(2000, 'x')));
  room_.turn();
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::unopened); });
  EXPECT_EQ(room_.sessions.live(), 1u);
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::all); });
  EXPECT_EQ(room_.backend.endings,
            (std::vector{EndReason::kicked, EndReason::slow, EndReason::stop}));
  for (Peer* peer : {&kicked, &slow, &stopped})
    EXPECT_TRUE(room_.turn_until([&] { return peer->at_end(); }));
  expect_nothing_left();
}

TEST_F(ClientTest, BrokenTcpConnectionIsLostAndNotClosed) {
  room_.lines.send_queue = 10'000'000;
  Peer peer = room_.connect();
  fill(*room_.session_of(peer));
  peer.close();  // with unread bytes: a reset
  EXPECT_TRUE(room_.turn_until([&] { return !room_.backend.endings.empty(); }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::connection_lost});
  expect_nothing_left();
}

TEST_F(ClientTest, PageIsSentWholeToAClientThatEndedItsSide) {
  room_.web.page_html = std::string(3'000'000, 'p');
  room_.web.page = "index.html";
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  peer.end_output();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().ends_with(std::string(1000, 'p')));
  EXPECT_GT(peer.received().size(), 3'000'000u);
  expect_nothing_left();
}

TEST_F(ClientTest, SilenceWhileReadingIsHeldBackIsNotTheClients) {
  room_.lines.idle_timeout_ms = 60'000;
  Peer peer = room_.connect();
  room_.session_of(peer)->transport->pause_reading(true);
  room_.pass(59'000);
  room_.session_of(peer)->transport->pause_reading(false);
  // What it sent meanwhile has not been read yet when the deadline comes.
  room_.later_ms += 2'000;
  room_.runtime.now_ms = monotonic_ms() + room_.later_ms;
  room_.wheel.advance(room_.runtime.now_ms);
  EXPECT_TRUE(room_.backend.endings.empty());
  room_.pass(61'000);
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::idle});
}

TEST_F(ClientTest, SilentHandshakeIsGivenUp) {
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send("GET /ws HT");
  room_.pass(room_.config.limits.handshake_timeout_ms + 200);
  EXPECT_EQ(stats().handshakes_timed_out.get(), 1u);
  EXPECT_TRUE(peer.at_end());
  expect_nothing_left();
}

TEST_F(ClientTest, CloseFrameThatIsNeverAnsweredIsWaitedForOnlySoLong) {
  Peer peer = open_web_client();
  room_.session_of(peer)->transport->close(4000, "bye", EndReason::kicked);
  room_.turn();
  EXPECT_EQ(behind_101(peer), test::frame(8, "\017\240bye", {.masked = false}));
  EXPECT_EQ(stats().connections_open.get(), 1u);
  room_.pass(room_.web.close_timeout_ms + 200);
  expect_nothing_left();
}

TEST_F(ClientTest, WindingUpTheUnopenedSparesOpenSessions) {
  Peer open = open_web_client();
  Peer silent = room_.connect(room_.web, room_.backend);
  room_.backend.accepts = false;
  Peer connecting = web_client();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(connecting) != nullptr; }));
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::unopened); });
  EXPECT_TRUE(room_.turn_until([&] { return silent.at_end() && connecting.at_end(); }));
  for (Peer* refused : {&silent, &connecting}) {
    EXPECT_TRUE(refused->received().starts_with("HTTP/1.1 503 ")) << refused->received();
    EXPECT_NE(refused->received().find("\r\nRetry-After: "), std::string::npos);
  }
  EXPECT_EQ(behind_101(open), "");
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::all); });
  room_.turn();
  EXPECT_EQ(behind_101(open), test::frame(8, "\x03\xe9server stopping", {.masked = false}));
  for (Peer* peer : {&open, &silent, &connecting}) peer->close();
  expect_nothing_left();
}

// Were this process killed now, its successor would count as crashed what was open: not what was still connecting, and what
// had been closed not again.
TEST_F(ClientTest, SessionsOfADeadWorkerAreCountedOnce) {
  Peer open = open_web_client(), closed = open_web_client();
  closed.close();
  ASSERT_TRUE(room_.turn_until([&] { return stats().sessions_closed.get() == 1; }));
  room_.backend.accepts = false;
  Peer connecting = web_client();
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(connecting) != nullptr; }));
  for (int death = 0; death < 2; ++death) {
    Sessions next(room_.runtime, *room_.heritage.segment, room_.hub);
    EXPECT_EQ(stats().sessions_opened.get(), 2u);
    EXPECT_EQ(stats().sessions_closed.get(), 1u);
    EXPECT_EQ(stats().sessions_crashed.get(), 1u);
  }
}

TEST_F(ClientTest, DirectoryIsFullIsA503WithSpreadRetryAfter) {
  for (int i = 0; i < 64; ++i) room_.open_session();
  std::deque<Peer> peers;
  for (int i = 0; i < 100; ++i) peers.push_back(web_client());
  std::set<std::string> when;  // of a hundred in one turn
  for (Peer& peer : peers) {
    EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
    EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 503 ")) << peer.received();
    size_t at = peer.received().find("\r\nRetry-After: ");
    ASSERT_NE(at, std::string::npos);
    when.insert(peer.received().substr(at + 15, 3));
  }
  EXPECT_EQ(when, (std::set<std::string>{"1\r\n", "2\r\n", "3\r\n", "4\r\n", "5\r\n"}));
  EXPECT_EQ(stats().sessions_refused_full.get(), 100u);
}

}  // namespace
}  // namespace holdfast
