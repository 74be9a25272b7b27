// What a client sends is decoded one share of a turn at a time: the rest waits, in order, others get their turn, and who has
// left or is held back is not decoded any further. Both ends are in this process; work is counted, not timed.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/process_clock.h"
#include "tests/harness/deflate_peer.h"
#include "tests/unit/net/tls_peer.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/backends/builtin.h"
#include "worker/net/address_text.h"
#include "worker/net/tls/context.h"

namespace holdfast {
namespace {

using test::behind_101;
using test::frame;
using test::Peer;

constexpr size_t kFirst =
    TurnBudget::kFirstShare + 1;  // messages of a read that one share lets through

// Lets nothing more through than it is told to.
class HoldingBackend final : public Backend {
 public:
  explicit HoldingBackend(Sessions& sessions) : sessions_(sessions) {}
  void open(Session& session, const Opening&) override { session.transport->accept({}); }
  void message(Session& session, bool, std::string_view data) override {
    messages.emplace_back(data);
    if (messages.size() >= most) session.transport->pause_reading(true);
  }
  bool held_up() const override { return shut; }
  void gone(Session& session) override { sessions_.forget(session); }
  void adopt(Session& session, const shm::SessionView&) override { sessions_.forget(session); }

  size_t most = SIZE_MAX;
  bool shut = false;
  std::vector<std::string> messages;

 private:
  Sessions& sessions_;
};

class ClientInput : public ::testing::Test {
 protected:
  Peer web_client(std::string_view more = {}) { return web_client(room_.backend, more); }
  Peer web_client(Backend& to, std::string_view more = {}) {
    Peer peer = room_.connect(room_.web, to);
    test::shake_hands(peer, more);
    EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).empty(); })) << peer.received();
    return peer;
  }
  // Messages "0", "1" ... as lines, or as frames.
  static std::string lines(size_t n, size_t from = 0) {
    std::string all;
    for (size_t i = from; i < from + n; ++i) all += std::to_string(i) + "\n";
    return all;
  }
  static std::string frames(size_t n, size_t from = 0) {
    std::string all;
    for (size_t i = from; i < from + n; ++i) all += frame(1, std::to_string(i));
    return all;
  }
  void turns(int n) {
    for (int i = 0; i < n; ++i) room_.turn();
  }
  bool hears(size_t messages) {
    return room_.turn_until([&] { return told().size() == messages; });
  }
  void expect_in_order(size_t messages) {
    ASSERT_EQ(told().size(), messages);
    for (size_t i = 0; i < messages; ++i) ASSERT_EQ(told()[i], std::to_string(i));
  }
  const std::vector<std::string>& told() { return room_.backend.messages; }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
};

TEST_F(ClientInput, OneReadIsDecodedInSharesAndInOrder) {
  Peer peer = web_client();
  peer.send(frames(5'000));
  room_.turn();
  EXPECT_LE(told().size(), kFirst);
  EXPECT_EQ(stats().loop_cut_short.get(), 1u);
  EXPECT_GT(stats().bytes_undecoded.get(), 30'000u);
  EXPECT_TRUE(room_.connections.input().run()) << "the worker must not sleep";
  ASSERT_TRUE(hears(5'000));
  expect_in_order(5'000);
  EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
  EXPECT_FALSE(room_.connections.input().run());
  peer.send(frame(1, "5000"));
  EXPECT_TRUE(hears(5'001)) << "it is read again";
}

TEST_F(ClientInput, SoIsAStreamOfLines) {
  Peer peer = room_.connect();
  peer.send(lines(5'000));
  room_.turn();
  EXPECT_LE(told().size(), kFirst);
  ASSERT_TRUE(hears(5'000));
  expect_in_order(5'000);
}

// What was read is not read again before it is decoded, so a turn stays bounded whatever the client goes on to send.
TEST_F(ClientInput, NothingIsReadWhileSomethingIsLeft) {
  Peer peer = room_.connect();
  peer.send(lines(10'000));
  room_.turn();
  uint64_t in = stats().bytes_in.get();
  peer.send(lines(10, 10'000));
  room_.turn();
  EXPECT_EQ(stats().bytes_in.get(), in);
  ASSERT_TRUE(hears(10'010));
  expect_in_order(10'010);
}

TEST_F(ClientInput, OthersAreHeardBetweenTheSlicesOfAFlood) {
  std::deque<Peer> floods;
  for (int i = 0; i < 10; ++i) floods.push_back(room_.connect());
  Peer bystander = room_.connect();
  turns(2);
  for (Peer& flood : floods) flood.send(lines(8'000));
  room_.turn();
  bystander.send("bystander\n");
  turns(2);
  auto at = std::find(told().begin(), told().end(), "bystander");
  ASSERT_NE(at, told().end());
  EXPECT_LE(told().size(), size_t(3 * TurnBudget::kTurn)) << "of 80,000";
  ASSERT_TRUE(hears(80'001));
}

TEST_F(ClientInput, ThoseThatWaitTakeTurns) {
  HoldingBackend one(room_.sessions), other(room_.sessions);
  Peer first = web_client(one), second = web_client(other);
  first.send(frames(6'400));
  room_.turn();
  second.send(frames(6'400));
  room_.turn();
  for (int i = 0; i < 3; ++i) {
    size_t before_one = one.messages.size(), before_other = other.messages.size();
    room_.turn();
    if (one.messages.size() == 6'400 || other.messages.size() == 6'400) break;
    size_t got_one = one.messages.size() - before_one,
           got_other = other.messages.size() - before_other;
    EXPECT_LE(std::max(got_one, got_other) - std::min(got_one, got_other),
              size_t(TurnBudget::kShare) + 1);
  }
  EXPECT_TRUE(room_.turn_until(
      [&] { return one.messages.size() == 6'400 && other.messages.size() == 6'400; }));
}

TEST_F(ClientInput, AReadySocketIsNotReadInASpentTurn) {
  Peer peer = room_.connect();
  turns(2);
  peer.send("later\n");
  room_.runtime.budget.begin_turn(monotonic_ms());
  room_.runtime.budget.spend(TurnBudget::kTurn);
  event_base_loop(room_.loop.raw(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(stats().loop_cut_short.get(), 1u);
  room_.runtime.budget.begin_events();
  event_base_loop(room_.loop.raw(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
  EXPECT_EQ(told(), std::vector<std::string>{"later"});
}

// 64 KiB that become 4 MB.
TEST_F(ClientInput, InflatedBytesCount) {
  room_.web.permessage_deflate = conf::PermessageDeflate{};
  Peer peer = web_client("Sec-WebSocket-Extensions: permessage-deflate\r\n");
  test::PeerDeflater deflater;
  std::string packed = deflater.message(std::string(65'000, 'x')), all;
  for (int i = 0; i < 60; ++i) all += frame(1, packed, {.rsv = 4});
  ASSERT_LT(all.size(), 64u * 1024);
  peer.send(all);
  room_.turn();
  EXPECT_LE(told().size(), 2u);
  EXPECT_TRUE(hears(60));
  EXPECT_EQ(told().back(), std::string(65'000, 'x'));
}

TEST_F(ClientInput, FragmentsAndEmptyFramesCount) {
  Peer peer = web_client();
  std::string all = test::part(1, "");
  for (int i = 0; i < 9'000; ++i) all += test::part(0, "");
  peer.send(all + frame(0, "end"));
  room_.turn();
  EXPECT_GT(stats().bytes_undecoded.get(), 50'000u);
  ASSERT_TRUE(hears(1));
  EXPECT_EQ(told()[0], "end");
}

TEST_F(ClientInput, PingsCount) {
  Peer peer = web_client();
  std::string all;
  for (int i = 0; i < 9'000; ++i) all += frame(9, "");
  peer.send(all);
  room_.turn();
  size_t waiting = room_.session_of(peer)->transport->unsent() / (2 + OutputQueue::kEntryBytes);
  EXPECT_LE(behind_101(peer).size() / 2 + waiting, kFirst);
  EXPECT_TRUE(room_.turn_until([&] { return behind_101(peer).size() == 18'000; }));
}

TEST_F(ClientInput, WhatComesBehindTheHandshakeIsCutLikewise) {
  Peer peer = room_.connect(room_.web, room_.backend);
  peer.send(
      "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
      frames(4'000));
  room_.turn();
  EXPECT_LE(told().size(), kFirst);
  ASSERT_TRUE(hears(4'000));
  expect_in_order(4'000);
}

TEST_F(ClientInput, SoIsWhatComesThroughTls) {
  static const tls::Context context =
      std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  test::TlsPeer peer(room_.connect(room_.lines, room_.backend, &context));
  ASSERT_TRUE(peer.shake_hands(room_));
  peer.say(lines(9'000));
  room_.turn();
  EXPECT_LE(told().size(), kFirst);
  ASSERT_TRUE(hears(9'000));
  expect_in_order(9'000);
  peer.say(lines(1, 9'000));
  EXPECT_TRUE(hears(9'001));
}

// ---- held back

TEST_F(ClientInput, PausingInsideAMessageStopsTheDecodingAtOnce) {
  HoldingBackend backend(room_.sessions);
  backend.most = 3;
  for (bool web : {true, false}) {
    SCOPED_TRACE(web ? "frames" : "lines");
    backend.messages.clear();
    Peer peer = web ? web_client(backend) : room_.connect(room_.lines, backend);
    peer.send(web ? frames(8) : lines(8));
    turns(5);
    EXPECT_EQ(backend.messages.size(), 3u);
    EXPECT_GT(stats().bytes_undecoded.get(), 0u);
    EXPECT_FALSE(room_.connections.input().run())
        << "nobody waits for a turn: the worker may sleep";
    room_.session_of(peer)->transport->pause_reading(false);
    turns(3);
    EXPECT_EQ(backend.messages.size(), 4u) << "the bound is reached again";
    backend.messages.clear();
    room_.session_of(peer)->transport->pause_reading(false);
    turns(3);
    EXPECT_EQ(backend.messages, (std::vector<std::string>{"4", "5", "6"}));
    backend.messages.clear();
    room_.session_of(peer)->transport->pause_reading(false);
    turns(3);
    EXPECT_EQ(backend.messages, std::vector<std::string>{"7"});
    EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
    peer.close();
    turns(3);
  }
}

TEST_F(ClientInput, SilenceIsNotTheClientsWhileItsBytesWait) {
  HoldingBackend backend(room_.sessions);
  backend.most = 1;
  room_.lines.idle_timeout_ms = 1'000;
  Peer peer = room_.connect(room_.lines, backend);
  peer.send(lines(3));
  turns(3);
  for (int i = 0; i < 5; ++i) room_.pass(900);
  EXPECT_NE(room_.session_of(peer), nullptr);
  backend.most = SIZE_MAX;
  room_.session_of(peer)->transport->pause_reading(false);
  turns(3);
  EXPECT_EQ(backend.messages.size(), 3u);
  room_.pass(1'100);
  EXPECT_EQ(room_.session_of(peer), nullptr) << "now it is";
}

// As after the process stood still, or under load: it has spoken, and was not read.
TEST_F(ClientInput, NobodyIsIdleWhoseBytesLieInTheSocket) {
  room_.lines.idle_timeout_ms = 1'000;
  Peer spoke = room_.connect(), silent = room_.connect();
  turns(2);
  spoke.send("hello\n");
  room_.later_ms += 5'000;
  room_.runtime.now_ms = monotonic_ms() + room_.later_ms;
  room_.wheel.advance(room_.runtime.now_ms);
  EXPECT_NE(room_.session_of(spoke), nullptr);
  EXPECT_EQ(room_.session_of(silent), nullptr);
  EXPECT_TRUE(hears(1));
}

TEST_F(ClientInput, WhoPublishesWaitsWhileTheRouterIsCongestedAndOthersDoNot) {
  RelayBackend relay(room_.runtime, room_.sessions, room_.router);
  EchoBackend echo(room_.runtime, room_.sessions);
  room_.lines.channels = {"room"};
  Peer publisher = room_.connect(room_.lines, relay), speaker = room_.connect(room_.lines, echo);
  turns(2);
  room_.runtime.budget.congested(true);
  publisher.send("published\n");
  speaker.send("echoed\n");
  turns(3);
  EXPECT_EQ(publisher.received(), "");
  EXPECT_EQ(speaker.received(), "echoed\n");
  EXPECT_GT(stats().bytes_undecoded.get(), 0u);
  room_.runtime.budget.congested(false);
  EXPECT_TRUE(room_.turn_until([&] { return publisher.received() == "published\n"; }));
}

// ---- over

TEST_F(ClientInput, AClosedSessionsMessagesAreNotDecodedButItsCloseFrameIsFound) {
  room_.web.permessage_deflate = conf::PermessageDeflate{};
  Peer peer = web_client("Sec-WebSocket-Extensions: permessage-deflate\r\n");
  test::PeerDeflater deflater;
  std::string packed = deflater.message(std::string(60'000, 'x')), all;
  for (int i = 0; i < 100; ++i) all += frame(1, packed, {.rsv = 4});
  all += test::part(1, "\xff not UTF-8") + test::close_frame(4002);
  peer.send(all);
  room_.turn();
  size_t told_before = told().size();
  uint64_t inflated = stats().ws_inflated.get();
  room_.session_of(peer)->transport->close(4001, "bye", EndReason::kicked);
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(told().size(), told_before);
  EXPECT_EQ(stats().ws_inflated.get(), inflated);
  EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
  EXPECT_EQ(behind_101(peer), frame(8,
                                    "\x0f\xa1"
                                    "bye",
                                    {.masked = false}));
}

// The close comes from within a message: those behind it in the same read are skipped, too.
TEST_F(ClientInput, NothingIsInflatedBehindTheMessageThatClosed) {
  room_.config.limits.message_rate = 3;
  test::Room room(instance_, 1, room_.config);
  room.web.permessage_deflate = conf::PermessageDeflate{};
  Peer peer = room.connect(room.web, room.backend);
  test::shake_hands(peer, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  ASSERT_TRUE(room.turn_until([&] { return behind_101(peer).empty(); }));
  test::PeerDeflater deflater;
  std::string packed = deflater.message("message"), all;
  for (int i = 0; i < 20; ++i) all += frame(1, packed, {.rsv = 4});
  peer.send(all + test::close_frame(1008));
  EXPECT_TRUE(room.turn_until([&] { return peer.at_end(); }));
  EXPECT_LE(room.runtime.stats.ws_inflated.get(), 7u) << "a second may begin in between";
}

TEST_F(ClientInput, AKickedTcpClientsRestIsDropped) {
  Peer peer = room_.connect();
  peer.send(lines(9'000));
  room_.turn();
  size_t before = told().size();
  room_.session_of(peer)->transport->close(1008, "bye", EndReason::kicked);
  EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(told().size(), before);
}

TEST_F(ClientInput, GoodbyeIsHeardBehindAllThatWasSaid) {
  Peer peer = room_.connect();
  peer.send(lines(9'000));
  peer.end_output();
  room_.turn();
  EXPECT_TRUE(room_.backend.endings.empty());
  ASSERT_TRUE(hears(9'000));
  expect_in_order(9'000);
  EXPECT_TRUE(room_.turn_until([&] { return room_.backend.endings.size() == 1; }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::client_closed});
}

TEST_F(ClientInput, ABrokenConnectionTakesItsRestAlong) {
  Peer peer = room_.connect();
  peer.send(lines(9'000));
  room_.turn();
  room_.connections.clear();
  EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
  EXPECT_FALSE(room_.connections.input().run());
}

TEST_F(ClientInput, ReadsAreSmallWhileVeryMuchWaits) {
  InputQueue& queue = room_.connections.input();
  Peer peer = room_.connect();
  EXPECT_EQ(queue.most_a_read(), room_.scratch.size());
  {
    Undecoded much(queue, *peer.client, std::string(InputQueue::kCrowded + 1, 'x'),
                   Undecoded::Gauge::counts);
    EXPECT_EQ(queue.most_a_read(), InputQueue::kCrowdedRead);
    peer.send(std::string(3'000, 'x') + "\n");
    event_base_loop(room_.loop.raw(), EVLOOP_ONCE | EVLOOP_NONBLOCK);  // one read
    EXPECT_EQ(told().size(), 0u);
    EXPECT_TRUE(hears(1));
  }
  EXPECT_EQ(queue.most_a_read(), room_.scratch.size());
  EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
}

// ---- the kernel's questions

std::pair<UniqueFd, UniqueFd> tcp_pair() {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  HF_CHECK(bind(listener.get(), raw, size) == 0 && listen(listener.get(), 1) == 0);
  HF_CHECK(getsockname(listener.get(), raw, &size) == 0);
  UniqueFd far(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  HF_CHECK(connect(far.get(), raw, size) == 0);
  UniqueFd near(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return {std::move(near), std::move(far)};
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST_F(ClientInput, WhoMayBeSilentForEverIsAskedByTheKernel) {
  for (uint64_t idle_timeout_ms : {0, 60'000}) {
    room_.lines.idle_timeout_ms = idle_timeout_ms;
    auto [near, far] = tcp_pair();
    int fd = near.get();
    room_.homes.push_back(ClientHome{room_.runtime, room_.connections, room_.sessions, room_.lines,
                                     0, room_.backend, room_.admission});
    auto made = Client::make(room_.homes.back(), std::move(near));
    Client& client = *made;
    room_.connections.add(std::move(made));
    client.start({});
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), idle_timeout_ms == 0 ? 1 : 0);
    if (idle_timeout_ms != 0) continue;
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 60);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
  }
}

}  // namespace
}  // namespace holdfast
