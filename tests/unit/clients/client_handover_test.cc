// Clients that move to another process of their slot: whatever they were in the middle of goes on there. Both
// processes are rooms of this one; the records pass through their bytes.

#include <gtest/gtest.h>

#include "tests/harness/deflate_peer.h"
#include "tests/harness/openssl_client.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/clients/event_stream.h"
#include "worker/clients/record.h"
#include "worker/clients/websocket.h"
#include "worker/net/address_text.h"
#include "worker/net/tls/context.h"
#include "worker/sessions/record.h"

namespace holdfast {
namespace {

using test::Peer;
using test::Room;

// The rooms of these tests keep their descriptors until the program ends, and those are bounded: one of so many bytes, another one in
// each run (--gtest_random_seed).
constexpr size_t kStep = 5;
size_t first_step() {
  return size_t(testing::UnitTest::GetInstance()->random_seed()) % kStep;
}

class ClientHandover : public ::testing::Test {
 protected:
  ClientHandover() : from_(std::make_unique<Room>(instance_)) {}
  ~ClientHandover() override {
    // Processes that have handed over end without destructors, and so do these rooms.
    static auto* ended = new std::vector<std::unique_ptr<Room>>;
    for (auto& room : left_) ended->push_back(std::move(room));
  }

  // A new room takes over everything of `from_`, and is `from_` afterwards.
  void move(std::vector<Peer*> peers, bool resume = true) {
    auto to = std::make_unique<Room>(instance_, uint16_t(0), from_->config, true);
    to->web = from_->web;
    to->lines = from_->lines;
    to->backend.accepts = from_->backend.accepts;
    to->backend.owes_answers = from_->backend.owes_answers;
    to->backend.messages = from_->backend.messages;
    to->backend.endings = from_->backend.endings;
    from_->loop.bury();
    from_->sessions.for_each([&](Session& session) {
      handover::SessionRecord record;
      ASSERT_TRUE(handover::load(handover::save(from_->sessions.save(session)), record));
      const conf::Listen& listen = session.listen == &from_->web ? to->web : to->lines;
      ASSERT_NE(to->sessions.restore(std::move(record), listen, 0, to->backend), nullptr);
    });
    ASSERT_TRUE(to->sessions.take_over());
    for (Peer* peer : peers) {
      if (peer->client == nullptr) continue;
      handover::ClientRecord record;
      ASSERT_TRUE(handover::load(handover::save(peer->client->save()), record));
      bool web = record.decoder.has_value() || record.transport == EventStream::kTransport;
      to->homes.push_back(ClientHome{to->runtime, to->connections, to->sessions,
                                     web ? to->web : to->lines, 0, to->backend, to->admission});
      Session* session = to->sessions.find_any({record.session_hi, record.session_lo});
      UniqueFd fd(dup(peer->client->fd()));
      // The other process would end now; here its descriptor must not keep the connection open.
      ASSERT_EQ(dup2(nothing_.get(), peer->client->fd()), peer->client->fd());
      auto client = Client::restore(to->homes.back(), std::move(fd), std::move(record), session);
      ASSERT_NE(client, nullptr);
      peer->client = client.get();
      to->connections.restore(std::move(client));
    }
    left_.push_back(std::exchange(from_, std::move(to)));
    if (resume) from_->connections.for_each([](Connection& connection) { connection.resume(); });
  }
  bool gone(const Peer& peer) {
    bool there = false;
    from_->connections.for_each([&](Connection& c) { there |= &c == peer.client; });
    return !there;
  }
  // A stream is another object than the one that read its request.
  Client* only_client() {
    Client* found = nullptr;
    from_->connections.for_each([&](Connection& c) { found = static_cast<Client*>(&c); });
    return found;
  }
  Room& room() { return *from_; }
  shm::StatsBlock& stats() { return from_->runtime.stats; }

  UniqueFd nothing_{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  const std::string big_ = std::string(4'000'000, 'x');
  test::Instance instance_;
  std::unique_ptr<Room> from_;
  std::vector<std::unique_ptr<Room>> left_;
};

std::string handshake_bytes(const std::string& more = {}) {
  return "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         more + "\r\n";
}

TEST_F(ClientHandover, TheOfferedSubprotocolsMoveWithTheHandshake) {
  room().web.subprotocols = {"mqtt"};
  room().backend.accepts = false;
  for (std::string_view chosen : {"", "stomp"}) {
    Peer peer = room().connect(room().web, room().backend);
    peer.send(handshake_bytes("Sec-WebSocket-Protocol: stomp, mqtt\r\n"));
    ASSERT_TRUE(room().turn_until([&] { return room().session_of(peer) != nullptr; }));
    move({&peer});
    ASSERT_FALSE(HasFatalFailure());
    Session* session = room().session_of(peer);
    ASSERT_NE(session, nullptr);
    EXPECT_FALSE(session->transport->speak("amqp"));
    EXPECT_EQ(session->transport->speak(chosen), !chosen.empty());
    session->transport->accept({});
    std::string line = "Sec-WebSocket-Protocol: " + std::string(chosen.empty() ? "mqtt" : chosen);
    ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).empty(); }));
    EXPECT_NE(peer.received().find(line + "\r\n"), std::string::npos) << peer.received();
  }
}

// Hand-shake, a message, a fragmented one with a ping between its parts, a long one: the client moves at every
// single byte of them.
TEST_F(ClientHandover, WebSocketMovesAtEveryByte) {
  std::string all = handshake_bytes() + test::frame(1, "one") + test::part(2, "tw") +
                    test::frame(9, "beat") + test::frame(0, "o") +
                    test::frame(1, std::string(300, 'x'));
  std::vector<std::string> expected = {"one", "two", std::string(300, 'x')};
  for (size_t at = 1; at < all.size(); ++at) {
    SCOPED_TRACE(testing::Message() << "moved after byte " << at);
    room().backend.messages.clear();
    Peer peer = room().connect(room().web, room().backend);
    peer.send(all.substr(0, at));
    for (int i = 0; i < 3; ++i) room().turn();
    move({&peer});
    ASSERT_FALSE(HasFatalFailure());
    peer.send(all.substr(at));
    ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 3; }));
    ASSERT_EQ(room().backend.messages, expected);
    ASSERT_TRUE(room().turn_until([&] {
      return test::behind_101(peer) == std::string("\x8a\x04") + "beat";
    })) << peer.received();
    peer.close();
    ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
    ASSERT_EQ(stats().sessions_online.get(), 0u);
    ASSERT_EQ(stats().connections_open.get(), 0u);
    ASSERT_EQ(stats().bytes_unsent.get(), 0u);
  }
}

// Terms, the window and half a message move at every byte of a deflated conversation; each message refers back to the
// one before, also over the move.
TEST_F(ClientHandover, DeflatedConversationMovesAtEveryByte) {
  for (bool takeover : {true, false}) {
    room().web.permessage_deflate =
        conf::PermessageDeflate{.min_size = 1, .client_no_context_takeover = !takeover};
    test::PeerDeflater peer_deflater(12);
    auto deflated = [&](std::string_view text) {
      if (!takeover) peer_deflater = test::PeerDeflater(12);
      return peer_deflater.message(text);
    };
    auto whole = [](unsigned opcode, const std::string& payload) {
      return test::frame(opcode, payload, {.rsv = 4});
    };
    std::string first = deflated("the first message of this client");
    std::string second = deflated("the second message of this client");
    std::string third = deflated("the third message of this client");
    const std::string offer =
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12; "
        "server_max_window_bits=10\r\n";
    std::string all = handshake_bytes(offer) + whole(1, first) +
                      test::frame(1, second.substr(0, 5), {.fin = false, .rsv = 4}) +
                      test::frame(9, "beat") + test::frame(0, second.substr(5)) +
                      test::frame(1, "plain") + whole(2, third);
    std::vector<std::string> expected = {"the first message of this client",
                                         "the second message of this client", "plain",
                                         "the third message of this client"};
    for (size_t at = 1; at < all.size(); ++at) {
      SCOPED_TRACE(testing::Message() << "moved after byte " << at << ", takeover " << takeover);
      room().backend.messages.clear();
      Peer peer = room().connect(room().web, room().backend);
      peer.send(all.substr(0, at));
      for (int i = 0; i < 3; ++i) room().turn();
      uint64_t kept = stats().ws_window_bytes.get();
      move({&peer});
      ASSERT_FALSE(HasFatalFailure());
      ASSERT_EQ(stats().ws_window_bytes.get(), kept);
      peer.send(all.substr(at));
      ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 4; }))
          << peer.received();
      ASSERT_EQ(room().backend.messages, expected);
      ASSERT_EQ(stats().ws_window_bytes.get(),
                takeover ? expected[0].size() + expected[1].size() + expected[3].size() : 0);
      ASSERT_TRUE(room().turn_until([&] {
        return test::behind_101(peer) == std::string("\x8a\x04") + "beat";
      })) << peer.received();
      ASSERT_EQ(static_cast<WebSocket&>(*peer.client).deflate(),
                ws::DeflateTerms(10, 12, takeover));
      std::string text(100, 'x');
      Payload payload(text, false);
      ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
      ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).size() > 8; }));
      std::string pushed = test::behind_101(peer).substr(6);
      ASSERT_EQ(pushed[0], '\xc1');
      ASSERT_EQ(test::peer_inflate(pushed.substr(2), 10), text);
      peer.close();
      ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
      ASSERT_TRUE(room().turn_until([&] { return stats().connections_open.get() == 0; }));
      ASSERT_EQ(stats().ws_window_bytes.get(), 0u);
    }
  }
}

// A message may come in with the reload that takes its listener's setting away.
TEST_F(ClientHandover, DeflatedClientsAreUnderstoodWithoutTheSetting) {
  room().web.permessage_deflate.emplace();
  Peer peer = room().connect(room().web, room().backend);
  test::shake_hands(peer, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).empty(); }));
  room().web.permessage_deflate.reset();
  move({&peer});
  peer.send(test::frame(1, test::PeerDeflater().message("still read"), {.rsv = 4}));
  ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 1; }));
  EXPECT_EQ(room().backend.messages[0], "still read");
}

// What `text` is as a frame of the server.
std::string pushed(std::string_view text) {
  return test::frame(1, text, {.masked = false});
}

// Its session moves with it, is detached when it is cut, moves as such, and is resumed there; the come-back moves at every byte,
// too. What was kept for it moves each time.
TEST_F(ClientHandover, ResumableSessionsMoveAtEveryByte) {
  room().web.resume_ms = 60'000;
  const std::string key = "resume=Holdfast-tests_000001A";
  auto request = [&](const std::string& query) {
    return "GET /ws?" + query + handshake_bytes().substr(7) + test::frame(1, "one");
  };
  auto send = [&](const shm::SessionId& id, std::string_view text) {
    Payload payload(text, false);
    ASSERT_TRUE(room().sessions.deliver(*room().sessions.find(id), payload, Urgency::urgent));
  };
  const std::string first = request(key), again = request(key + "&seen=1");
  for (size_t at = 1 + first_step(); at < again.size(); at += kStep) {
    SCOPED_TRACE(testing::Message() << "moved after byte " << at);
    room().backend.messages.clear();
    Peer peer = room().connect(room().web, room().backend);
    size_t cut = std::min(at, first.size());
    peer.send(first.substr(0, cut));
    for (int i = 0; i < 3; ++i) room().turn();
    move({&peer});
    ASSERT_FALSE(HasFatalFailure());
    if (cut < first.size()) peer.send(first.substr(cut));
    ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 1; }));
    Session* session = room().session_of(peer);
    ASSERT_NE(session, nullptr);
    shm::SessionId id = session->id;
    std::string named = R"({"holdfast":{"session":")" + id.hex() + R"(","resumed":)";
    std::string hello = pushed(named + R"(false,"seen":0,"window":60}})");
    send(id, "first");
    send(id, "second");
    ASSERT_TRUE(room().turn_until([&] {
      return test::behind_101(peer) == hello + pushed("first") + pushed("second");
    })) << peer.received();
    move({&peer});
    peer.close();
    ASSERT_TRUE(room().turn_until([&] { return stats().sessions_detached.get() == 1; }));
    send(id, "third");
    uint64_t kept = stats().resume_kept_bytes.get();
    move({});
    ASSERT_EQ(room().sessions.find(id)->phase, SessionPhase::detached);
    send(id, "fourth");
    ASSERT_GT(stats().resume_kept_bytes.get(), kept);
    Peer back = room().connect(room().web, room().backend);
    back.send(again.substr(0, at));
    for (int i = 0; i < 3; ++i) room().turn();
    move({&back});
    ASSERT_FALSE(HasFatalFailure());
    back.send(again.substr(at));
    std::string missed = pushed("second") + pushed("third") + pushed("fourth");
    hello = pushed(named + R"(true,"seen":1,"window":60}})");
    ASSERT_TRUE(room().turn_until([&] { return test::behind_101(back) == hello + missed; }))
        << back.received();
    ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 2; }));
    ASSERT_EQ(room().session_of(back)->id, id);
    ASSERT_EQ(stats().sessions_detached.get(), 0u);
    back.send(test::close_frame(1000));
    ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
    ASSERT_EQ(stats().resume_kept_bytes.get(), 0u);
    ASSERT_EQ(stats().resume_sessions.get(), 0u);
    ASSERT_EQ(stats().sessions_online.get(), 0u);
    back.close();
    ASSERT_TRUE(room().turn_until([&] { return stats().connections_open.get() == 0; }));
    ASSERT_EQ(stats().bytes_unsent.get(), 0u);
  }
}

// The deadline of one that is away is not begun anew by a move.
TEST_F(ClientHandover, TheWindowGoesOnOverAMove) {
  room().web.resume_ms = 1'000;
  Peer peer = room().connect(room().web, room().backend);
  peer.send("GET /ws?resume=Holdfast-tests_000001A" + handshake_bytes().substr(7));
  ASSERT_TRUE(room().turn_until([&] { return room().session_of(peer) != nullptr; }));
  peer.close();
  ASSERT_TRUE(room().turn_until([&] { return stats().sessions_detached.get() == 1; }));
  uint64_t until = room().runtime.now_ms + 1'000;
  move({});
  EXPECT_FALSE(room().sessions.end_overdue(until - 500));
  EXPECT_EQ(room().sessions.live(), 1u);
  EXPECT_FALSE(room().sessions.end_overdue(until));
  EXPECT_EQ(room().sessions.size(), 0u);
  EXPECT_EQ(room().backend.endings, std::vector{EndReason::connection_lost});
  EXPECT_EQ(stats().sessions_detached.get(), 0u);
}

// A request for a stream moves at every byte, also when it is whole and its answer was put off to the end of the turn; then the stream,
// in the middle of an event.
TEST_F(ClientHandover, EventStreamsMoveAtEveryByte) {
  room().web.streams = {conf::Stream::sse};
  const std::string accept =
      "Host: x\r\nAccept: text/event-stream\r\nOrigin: https://a.example\r\n";
  for (const std::string& all :
       {"GET /ws?channel=a&names=channel HTTP/1.1\r\n" + accept + "\r\n",
        "POST /ws HTTP/1.1\r\n" + accept + "Content-Length: 9\r\n\r\nchannel=a",
        "POST /ws HTTP/1.1\r\n" + accept +
            "Transfer-Encoding: chunked\r\n\r\n9\r\nchannel=a\r\n0\r\n\r\n"}) {
    for (size_t at = 1; at <= all.size(); ++at) {
      for (int turns : {1, 3}) {
        SCOPED_TRACE(testing::Message() << "moved after byte " << at << ", turns " << turns);
        Peer peer = room().connect(room().web, room().backend);
        peer.send(all.substr(0, at));
        for (int i = 0; i < turns; ++i) room().turn();
        peer.client = only_client();
        move({&peer});
        ASSERT_FALSE(HasFatalFailure());
        peer.send(all.substr(at));
        ASSERT_TRUE(room().turn_until([&] { return stats().sessions_online.get() == 1; }));
        ASSERT_TRUE(room().turn_until([&] { return peer.received().ends_with("\n\n"); }));
        ASSERT_NE(peer.received().find("Allow-Origin: https://a.example\r\n"), std::string::npos);
        peer.client = only_client();
        Payload payload("pushed", false);
        ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
        move({&peer});
        ASSERT_FALSE(HasFatalFailure());
        ASSERT_TRUE(
            room().turn_until([&] { return peer.received().ends_with("\n\ndata: pushed\n\n"); }));
        room().sessions.join(*room().session_of(peer), "a");
        EXPECT_EQ(room().execute({.op = Op::publish, .channels = {"a"}, .data = "x"}).delivered,
                  1u);
        std::string event = all.starts_with("GET") ? "data: x\nevent: a\n\n" : "data: x\n\n";
        ASSERT_TRUE(room().turn_until([&] { return peer.received().ends_with("\n\n" + event); }));
        peer.close();
        ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
        ASSERT_TRUE(room().turn_until([&] { return stats().connections_open.get() == 0; }));
        ASSERT_EQ(stats().bytes_unsent.get(), 0u);
      }
    }
  }
}

TEST_F(ClientHandover, EventStreamsKeepWhereTheyStand) {
  room().config.channels = {{.pattern = "s*", .history_size = 10}};
  room().web.streams = {conf::Stream::sse};
  Peer peer = room().connect(room().web, room().backend);
  peer.send("GET /ws HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  ASSERT_TRUE(room().turn_until([&] { return peer.received().ends_with("\n\n"); }));
  peer.client = only_client();
  for (const char* channel : {"s1", "s2"}) room().sessions.join(*room().session_of(peer), channel);
  for (uint64_t offset : {1, 2, 3, 4}) {
    std::string_view channel = offset % 2 == 0 ? "s2" : "s1";
    Payload payload("x", false);
    payload.came_from(channel, {7, offset});
    ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
    room().turn();
    move({&peer});
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_TRUE(room().turn_until([&] {
    return peer.received().ends_with("\n\nid: s1=" + text_of(Position{7, 3}) +
                                     "&s2=" + text_of(Position{7, 4}) + "\ndata: x\n\n");
  })) << peer.received();
}

TEST_F(ClientHandover, EventStreamsMoveInTheMiddleOfAnEventOrBeforeTheirAnswer) {
  room().web.streams = {conf::Stream::sse};
  room().web.send_queue = 5'000'000;
  room().backend.accepts = false;
  Peer peer = room().connect(room().web, room().backend);
  peer.send(
      "GET /ws HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
      "Origin: https://a.example\r\n\r\n");
  ASSERT_TRUE(room().turn_until([&] { return room().sessions.live() == 1; }));
  peer.client = only_client();
  move({&peer});
  peer.client->accept({});
  ASSERT_TRUE(room().turn_until([&] { return peer.received().ends_with("\n\n"); }));
  EXPECT_NE(peer.received().find("Allow-Origin: https://a.example\r\n"), std::string::npos);
  size_t before = peer.received().size();
  Payload payload(std::string_view(big_), false);
  ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
  room().turn();
  ASSERT_GT(stats().bytes_unsent.get(), 0u);
  move({&peer});
  room().web.streams.clear();  // a reload may have taken the setting away
  std::string expected = "data: " + big_ + "\n\n";
  ASSERT_TRUE(
      room().turn_until([&] { return peer.received().size() >= before + expected.size(); }));
  EXPECT_EQ(peer.received().substr(before), expected);
}

TEST_F(ClientHandover, LinesMoveAtEveryByte) {
  std::string all = "first\nsecond line\n\nlast\n";
  for (size_t at = 1 + first_step(); at < all.size(); at += kStep) {
    room().backend.messages.clear();
    Peer peer = room().connect();
    peer.send(all.substr(0, at));
    for (int i = 0; i < 3; ++i) room().turn();
    move({&peer});
    ASSERT_FALSE(HasFatalFailure());
    peer.send(all.substr(at));
    std::vector<std::string> expected = {"first", "second line", "", "last"};
    ASSERT_TRUE(room().turn_until([&] { return room().backend.messages == expected; })) << at;
    peer.close();
    ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
  }
}

// A connection of a proxy moves at every byte of its PROXY header, and of what came with it.
TEST_F(ClientHandover, ProxiedClientsMoveAtEveryByte) {
  for (conf::Listen* listen : {&room().web, &room().lines})
    listen->proxies_unix = listen->proxy_protocol = true;
  const std::string header = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";
  for (bool web : {false, true}) {
    std::string all = header + (web ? handshake_bytes() + test::frame(1, "one") : "one\n");
    for (size_t at = 1; at < all.size(); ++at) {
      SCOPED_TRACE(testing::Message() << (web ? "web" : "line") << " moved after byte " << at);
      room().backend.messages.clear();
      Peer peer = room().connect(web ? room().web : room().lines, room().backend);
      peer.send(all.substr(0, at));
      for (int i = 0; i < 3; ++i) room().turn();
      move({&peer});
      ASSERT_FALSE(HasFatalFailure());
      peer.send(all.substr(at));
      ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 1; }));
      ASSERT_EQ(room().backend.messages[0], "one");
      Session* session = room().session_of(peer);
      ASSERT_NE(session, nullptr);
      auto view = instance_.segment.directory().view(session->id.index());
      ASSERT_EQ(address_text(view->origin.peer), "192.0.2.7");
      ASSERT_EQ(view->origin.peer_port, 4711);
      peer.close();
      ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
    }
  }
}

// A TLS client moves at every byte of the records that come: keys, counters and half a record go with it.
TEST_F(ClientHandover, TlsMovesAtEveryByte) {
  static const tls::Context context =
      std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    test::OpensslClient ssl({.version = version});
    Peer peer = room().connect(room().lines, room().backend, &context);
    EXPECT_FALSE(peer.client->can_move());
    size_t given = 0;
    auto hear = [&] {
      const std::string& all = peer.received();
      ssl.give(std::string_view(all).substr(given));
      given = all.size();
      if (std::string bytes = ssl.take(); !bytes.empty()) peer.send(bytes);
      return ssl.shaken() ? ssl.hear() : "";
    };
    ASSERT_TRUE(room().turn_until(
        [&] { return hear(), ssl.shaken() && room().session_of(peer) != nullptr; }));
    EXPECT_TRUE(peer.client->can_move());
    room().backend.messages.clear();
    std::vector<std::string> expected;
    for (int message = 0; message < 8; ++message) {
      expected.push_back("message " + std::to_string(message));
      ssl.say(expected.back() + "\n");
      for (char byte : ssl.take()) {
        peer.send({&byte, 1});
        for (int i = 0; i < 2; ++i) room().turn();
        move({&peer});
        ASSERT_FALSE(HasFatalFailure());
      }
      ASSERT_TRUE(room().turn_until([&] { return room().backend.messages == expected; }));
      Payload payload("answer", false);
      ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
      ASSERT_TRUE(room().turn_until([&] { return hear() == "answer\n"; }));
    }
    peer.close();
    ASSERT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
  }
}

TEST_F(ClientHandover, UnsentOutputArrivesWholeAndInOrder) {
  Peer peer = room().connect();
  room().turn();
  Session* session = room().session_of(peer);
  ASSERT_NE(session, nullptr);
  std::string expected;
  // Of the first the kernel takes a part, the others wait whole.
  for (size_t i = 0; i < 20; ++i) {
    std::string line = std::to_string(i) + std::string(40'000, char('a' + i));
    Payload payload(line, false);
    ASSERT_TRUE(room().sessions.deliver(*session, payload, Urgency::urgent));
    expected += line + "\n";
    if (i == 9) room().turn();
  }
  uint64_t unsent = stats().bytes_unsent.get();
  ASSERT_GT(unsent, 0u);
  move({&peer});
  EXPECT_EQ(stats().bytes_unsent.get(), unsent);
  EXPECT_EQ(peer.client->unsent(), unsent);
  ASSERT_TRUE(room().turn_until([&] { return peer.received().size() >= expected.size(); }));
  EXPECT_EQ(peer.received(), expected);
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

// The successor knows which of what waits may go for what.
TEST_F(ClientHandover, WhatWaitsKeepsItsChannel) {
  room().config.channels = {{"ticker.*", conf::SlowConsumer::keep_latest}};
  room().web.send_queue = 3'000'000;
  std::deque<Peer> peers;
  std::vector<Peer*> moved;
  for (int i = 0; i < 2; ++i) {
    Peer& peer = peers.emplace_back(room().connect(room().web, room().backend));
    test::shake_hands(peer);
    ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).empty(); }));
    Session& session = *room().session_of(peer);
    for (const char* channel : {"ticker.a", "ticker.b"}) room().sessions.join(session, channel);
    std::string long_one(2'500'000, 'x');
    Payload first(long_one, false);
    EXPECT_TRUE(room().sessions.deliver(session, first, Urgency::urgent));
    room().turn();
    moved.push_back(&peer);
  }
  room().sessions.join(*room().session_of(peers[0]), "ticker.one");  // a buffer that is not shared
  auto publish = [&](const char* channel, const std::string& name) {
    return room()
        .execute({.op = Op::publish, .channels = {channel}, .data = name + std::string(9'998, 'x')})
        .delivered;
  };
  EXPECT_EQ(publish("ticker.a", "a1"), 2u);
  EXPECT_EQ(publish("ticker.one", "o1"), 1u);
  EXPECT_EQ(publish("ticker.b", "b1"), 2u);
  move(moved);
  ASSERT_FALSE(HasFatalFailure());
  room().web.send_queue = room().session_of(peers[0])->transport->unsent() + 5'000;
  EXPECT_EQ(publish("ticker.a", "a2"), 2u);
  EXPECT_EQ(publish("ticker.one", "o2"), 1u);
  for (Peer& peer : peers) {
    Session& session = *room().session_of(peer);
    ASSERT_TRUE(
        room().turn_until([&] { return (void)peer.received(), session.transport->unsent() == 0; }));
    std::string names, all = test::behind_101(peer).substr(2'500'010);
    for (size_t at = 0; at < all.size(); at += 10'004) names += all.substr(at + 4, 2) + " ";
    EXPECT_EQ(names, &peer == &peers[0] ? "b1 a2 o2 " : "a1 b1 a2 ");
  }
}

TEST_F(ClientHandover, SessionKeepsUserChannelsDataAndCounts) {
  Peer peer = room().connect();
  room().turn();
  Session& before = *room().session_of(peer);
  room().sessions.set_user(before, "ann");
  room().sessions.join(before, "room1");
  room().sessions.join(before, "url", true);
  ASSERT_TRUE(room().sessions.set_data(before, {{"k", "v"}}, false));
  peer.send("a\nb\n");
  ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 2; }));
  shm::SessionId id = before.id;
  uint64_t memberships = stats().memberships.get();
  move({&peer});
  Session* after = room().sessions.find(id);
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(after->user, "ann");
  EXPECT_EQ(after->messages_in, 2u);
  ASSERT_TRUE(after->data);
  EXPECT_EQ(after->data->at("k"), "v");
  EXPECT_EQ(stats().memberships.get(), memberships);
  EXPECT_EQ(stats().channels_local.get(), 2u);
  EXPECT_EQ(stats().sessions_online.get(), 1u);
  ASSERT_EQ(after->memberships.size(), 3u);
  Command publish;
  publish.op = Op::publish;
  publish.channels = {"room1"};
  publish.data = "hello";
  EXPECT_EQ(room().execute(publish).delivered, 1u);
  EXPECT_TRUE(room().turn_until([&] { return peer.received() == "hello\n"; }));
  EXPECT_TRUE(instance_.segment.filter().maybe_member(0, "room1"));
  room().sessions.leave(*after, "room1");
  room().sessions.leave(*after, "url");
  room().sessions.set_user(*after, {});
  EXPECT_EQ(stats().memberships.get(), 0u);
  EXPECT_FALSE(instance_.segment.filter().maybe_member(0, "room1"));
}

TEST_F(ClientHandover, HandshakeThatWaitsForItsAnswerIsAcceptedByTheSuccessor) {
  room().backend.accepts = false;
  Peer peer = room().connect(room().web, room().backend);
  peer.send(handshake_bytes() + test::frame(1, "early"));
  ASSERT_TRUE(room().turn_until([&] { return room().session_of(peer) != nullptr; }));
  Payload payload("pushed", false);
  ASSERT_TRUE(room().sessions.deliver(*room().session_of(peer), payload, Urgency::urgent));
  move({&peer});
  for (int i = 0; i < 3; ++i) room().turn();
  EXPECT_EQ(peer.received(), "") << "the 101 comes first";
  peer.client->accept({});
  ASSERT_TRUE(room().turn_until([&] { return !room().backend.messages.empty(); }));
  EXPECT_EQ(room().backend.messages.front(), "early");
  EXPECT_TRUE(room().turn_until([&] { return test::behind_101(peer) == "\x81\x06pushed"; }));
}

TEST_F(ClientHandover, ClosingClientsFinishTheirFarewell) {
  Peer peer = room().connect(room().web, room().backend);
  test::shake_hands(peer);
  ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).empty(); }));
  peer.client->close(1000, "bye", EndReason::kicked);  // its close frame is still to be sent
  move({&peer});
  ASSERT_TRUE(room().turn_until([&] { return test::behind_101(peer).size() == 7; }));
  peer.send(test::close_frame(1000));
  EXPECT_TRUE(room().turn_until([&] { return peer.at_end(); }));
  peer.close();
  EXPECT_TRUE(room().turn_until([&] { return gone(peer); }));
  EXPECT_EQ(stats().connections_open.get(), 0u);
}

TEST_F(ClientHandover, HalfClosedClientGetsItsAnswers) {
  room().backend.owes_answers = true;
  Peer peer = room().connect();
  peer.send("question\n");
  peer.end_output();
  ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 1; }));
  for (int i = 0; i < 2; ++i) room().turn();
  ASSERT_NE(room().session_of(peer), nullptr);
  move({&peer});
  Session* session = room().session_of(peer);
  ASSERT_NE(session, nullptr);
  Payload payload("answer", false);
  ASSERT_TRUE(room().sessions.deliver(*session, payload, Urgency::urgent));
  room().backend.owes_answers = false;
  peer.client->all_answered();
  EXPECT_TRUE(room().turn_until([&] { return peer.received() == "answer\n" && peer.at_end(); }));
  EXPECT_EQ(room().backend.endings, std::vector{EndReason::client_closed});
}

TEST_F(ClientHandover, DeadlinesGoOnFromWhereTheyStood) {
  room().config.limits.handshake_timeout_ms = 10'000;
  Peer slow = room().connect(room().web, room().backend);
  Peer quiet = room().connect();
  slow.send("GET /ws HT");
  for (int i = 0; i < 3; ++i) room().turn();
  room().pass(9'000);
  uint64_t late = room().later_ms;
  uint64_t timed_out = stats().handshakes_timed_out.get();
  move({&slow, &quiet});
  room().later_ms = late;
  room().pass(0);
  EXPECT_FALSE(gone(slow));
  room().pass(1'200);
  EXPECT_TRUE(gone(slow)) << "its time had run since it was accepted";
  EXPECT_EQ(stats().handshakes_timed_out.get(), timed_out + 1);
  room().pass(room().lines.idle_timeout_ms);
  EXPECT_TRUE(room().turn_until([&] { return quiet.at_end(); }));
}

TEST_F(ClientHandover, PausedReadingStaysPaused) {
  Peer peer = room().connect();
  room().turn();
  peer.client->pause_reading(true);
  peer.send("later\n");
  move({&peer});
  for (int i = 0; i < 3; ++i) room().turn();
  EXPECT_TRUE(room().backend.messages.empty());
  peer.client->pause_reading(false);
  EXPECT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 1; }));
}

TEST_F(ClientHandover, WhatHasNotBeenDecodedGoesAlong) {
  for (bool web : {true, false}) {
    SCOPED_TRACE(web ? "frames" : "lines");
    room().backend.messages.clear();
    Peer peer = web ? room().connect(room().web, room().backend) : room().connect();
    if (web) test::shake_hands(peer);
    for (int i = 0; i < 3; ++i) room().turn();
    std::string all;
    for (int i = 0; i < 5'000; ++i)
      all += web ? test::frame(1, std::to_string(i)) : std::to_string(i) + "\n";
    peer.send(all);
    room().turn();
    uint64_t left = stats().bytes_undecoded.get();
    EXPECT_GT(left, 0u);
    move({&peer}, false);
    EXPECT_EQ(stats().bytes_undecoded.get(), left) << "counted already";
    room().connections.for_each([](Connection& connection) { connection.resume(); });
    ASSERT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 5'000; }));
    for (size_t i = 0; i < 5'000; ++i) ASSERT_EQ(room().backend.messages[i], std::to_string(i));
    EXPECT_EQ(stats().bytes_undecoded.get(), 0u);
    peer.send(web ? test::frame(1, "more") : "more\n");
    EXPECT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 5'001; }));
    peer.close();
    EXPECT_TRUE(room().turn_until([&] { return room().sessions.size() == 0; }));
  }
}

TEST_F(ClientHandover, WhoIsHeldBackWithSomethingLeftStaysSo) {
  Peer peer = room().connect();
  room().turn();
  peer.send("1\n2\n3\n");
  peer.client->pause_reading(true);
  room().turn();
  peer.client->pause_reading(false);
  // Held back from within the first message would leave the others; here by hand, with bytes that are taken in one turn.
  std::string all;
  for (int i = 0; i < 3'000; ++i) all += "x\n";
  peer.send(all);
  room().turn();
  peer.client->pause_reading(true);
  size_t before = room().backend.messages.size();
  ASSERT_GT(stats().bytes_undecoded.get(), 0u);
  move({&peer});
  for (int i = 0; i < 3; ++i) room().turn();
  EXPECT_EQ(room().backend.messages.size(), before);
  peer.client->pause_reading(false);
  EXPECT_TRUE(room().turn_until([&] { return room().backend.messages.size() == 3'003; }));
}

TEST_F(ClientHandover, NothingIsWrittenIntoTheSegmentBeforeTheSlotIsTaken) {
  Peer web = room().connect(room().web, room().backend);
  test::shake_hands(web);
  Peer line = room().connect();
  ASSERT_TRUE(room().turn_until([&] { return test::behind_101(web).empty(); }));
  room().sessions.join(*room().session_of(line), "room1");
  auto bytes_of = [](auto& part) {
    return std::string(reinterpret_cast<const char*>(&part), sizeof part);
  };
  shm::SessionDirectory directory = instance_.segment.directory();
  auto picture = [&] {
    std::string all = bytes_of(instance_.segment.stats(0)) + bytes_of(instance_.segment.slot(0));
    for (uint32_t i = 0; i < 4; ++i) all += bytes_of(directory.entry(i));
    instance_.segment.filter().for_each("room1", [&](uint32_t w) { all += std::to_string(w); });
    return all;
  };
  std::string before = picture();
  move({&web, &line}, false);
  EXPECT_EQ(picture(), before);
}

TEST_F(ClientHandover, RecordsThatMakeNoSenseAreRefused) {
  Peer peer = room().connect();
  room().turn();
  handover::ClientRecord good = peer.client->save();
  ClientHome& home = room().homes.back();
  Session* session = room().session_of(peer);
  auto refused = [&](auto change, Session* given) {
    handover::ClientRecord record = good;
    change(record);
    return Client::restore(home, UniqueFd(), std::move(record), given) == nullptr;
  };
  session->transport = nullptr;
  EXPECT_TRUE(refused([](auto& r) { r.phase = 99; }, session));
  EXPECT_TRUE(refused([](auto& r) { r.framer.reset(); }, session));
  EXPECT_TRUE(refused([](auto& r) { r.framer->error = 9; }, session));
  EXPECT_TRUE(refused([](auto&) {}, nullptr)) << "it names a session";
  EXPECT_TRUE(refused([](auto& r) { r.session_hi = r.session_lo = 0; }, session));
  EXPECT_TRUE(refused([](auto& r) { r.deflate = 3; }, session)) << "no terms";
  EXPECT_TRUE(
      refused([](auto& r) { r.deflate = ws::DeflateTerms({}, 15, true).packed(); }, session))
      << "not on TCP";
  session->transport = peer.client;
  EXPECT_TRUE(refused([](auto&) {}, session)) << "the session has its client";
}

}  // namespace
}  // namespace holdfast
