// A client of server-sent events, from its request to its end. Both ends are in this process.

#include "worker/clients/event_stream.h"

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <set>

#include "base/base64url.h"
#include "tests/harness/openssl_client.h"
#include "tests/unit/room.h"
#include "worker/backends/builtin.h"
#include "worker/net/tls/context.h"

namespace holdfast {
namespace {

using test::Peer;

std::string request(std::string_view method, std::string_view more = {}, std::string_view body = {},
                    std::string_view target = "/ws") {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{}",
                                 method, target, more);
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  return text + "\r\n" + std::string(body);
}

class EventStreamTest : public ::testing::Test {
 protected:
  EventStreamTest() { room_.web.streams = {conf::Stream::sse}; }

  Peer ask(const std::string& text) {
    Peer peer = room_.connect(room_.web, room_.backend);
    peer.send(text);
    return peer;
  }
  // The whole answer of a request that gets no stream.
  std::string answer_to(const std::string& text) {
    Peer peer = ask(text);
    EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); })) << peer.received();
    peer.close();
    EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
    return peer.received();
  }
  // What came after the head and the retry; "(none)" before.
  static std::string events(Peer& peer) {
    const std::string& all = peer.received();
    size_t head = all.find("\r\n\r\nretry: ");
    size_t end = head == all.npos ? head : all.find("\n\n", head + 4);
    return end == all.npos ? "(none)" : all.substr(end + 2);
  }
  // Another object serves the connection meanwhile.
  Session* session() {
    Session* only = nullptr;
    room_.sessions.for_each_live([&](Session& s) { only = &s; });
    return only;
  }
  Peer open_stream(std::string_view more = {}) {
    Peer peer = ask(request("GET", more));
    EXPECT_TRUE(room_.turn_until([&] { return events(peer).empty(); })) << peer.received();
    return peer;
  }
  bool send(std::string_view text, bool binary = false) {
    Payload payload(text, binary);
    return room_.sessions.deliver(*session(), payload, Urgency::urgent);
  }
  // More than a socket takes at once, so that output is queued here.
  void fill() {
    std::string line(4'000'000, 'x');
    EXPECT_TRUE(send(line));
    room_.turn();
    EXPECT_GT(session()->transport->unsent(), 0u);
  }
  void expect_nothing_left() {
    EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
    EXPECT_EQ(stats().connections_open.get(), 0u);
    EXPECT_EQ(stats().sessions_online.get(), 0u);
    EXPECT_EQ(stats().bytes_unsent.get(), 0u);
    EXPECT_EQ(room_.sessions.size(), 0u);
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
};

TEST_F(EventStreamTest, BeginsWithItsHeadAndARetryAtOnce) {
  Peer peer = open_stream();
  const std::string& all = peer.received();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << all;
  for (std::string line :
       {"Content-Type: text/event-stream", "X-Accel-Buffering: no", "Connection: close",
        "Cache-Control: no-cache, no-store, no-transform, private", "Vary: Origin"})
    EXPECT_NE(all.find("\r\n" + line + "\r\n"), std::string::npos) << line << " in " << all;
  EXPECT_NE(all.find("\r\nHoldfast-Session: " + session()->id.hex() + "\r\n"), std::string::npos);
  EXPECT_EQ(all.find("Content-Length"), std::string::npos);
  EXPECT_EQ(all.find("Access-Control"), std::string::npos) << "no page has asked";
  EXPECT_EQ(stats().sse_opened.get(), 1u);
  EXPECT_EQ(stats().connections_open.get(), 1u);
  peer.close();
  expect_nothing_left();
}

TEST_F(EventStreamTest, RetriesAreSpreadOverTwoToTenSeconds) {
  std::set<int> seen;
  for (int i = 0; i < 32; ++i) {
    Peer peer = open_stream();
    const std::string& all = peer.received();
    int ms = std::stoi(all.substr(all.find("\r\n\r\nretry: ") + 11));
    EXPECT_GE(ms, 2'000);
    EXPECT_LE(ms, 10'000);
    seen.insert(ms);
    peer.close();
    expect_nothing_left();
  }
  EXPECT_GT(seen.size(), 16u);
}

TEST_F(EventStreamTest, PushesAreEventsInOrderAlsoThoseBeforeTheAnswer) {
  room_.backend.accepts = false;
  Peer peer = ask(request("GET"));
  ASSERT_TRUE(room_.turn_until([&] { return session() != nullptr; }));
  EXPECT_TRUE(send("one"));
  room_.turn();
  EXPECT_EQ(peer.received(), "");
  session()->transport->accept("X-App: 1\r\n");
  EXPECT_TRUE(send("two\nlines"));
  EXPECT_TRUE(send("\xff", true));
  std::string expected =
      "data: one\n\ndata: two\ndata: lines\n\ndata: /w==\nevent: holdfast.binary\n\n";
  EXPECT_TRUE(room_.turn_until([&] { return events(peer) == expected; })) << peer.received();
  EXPECT_NE(peer.received().find("\r\nX-App: 1\r\n"), std::string::npos);
}

TEST_F(EventStreamTest, CommentsComeWhenNothingElseDid) {
  Peer peer = open_stream();
  uint64_t ping = room_.web.ping_interval_ms;
  room_.pass(ping - 5'000);
  EXPECT_TRUE(send("x"));
  ASSERT_TRUE(room_.turn_until([&] { return events(peer) == "data: x\n\n"; }));
  room_.pass(ping - 5'000);
  room_.turn();
  EXPECT_EQ(events(peer), "data: x\n\n") << "it was not quiet for so long";
  room_.pass(6'000);
  EXPECT_TRUE(room_.turn_until([&] { return events(peer) == "data: x\n\n:\n\n"; }));
  EXPECT_EQ(stats().sse_comments.get(), 1u);
  EXPECT_EQ(stats().pings_sent.get(), 0u);
}

TEST_F(EventStreamTest, IsNeverIdleForItsSilence) {
  for (uint64_t ping_ms : {uint64_t{25'000}, uint64_t{0}}) {
    room_.web.ping_interval_ms = ping_ms;
    Peer peer = open_stream();
    for (int i = 0; i < 30; ++i) {
      room_.pass(10'000);
      room_.turn();
    }
    EXPECT_NE(session(), nullptr);
    EXPECT_EQ(events(peer).empty(), ping_ms == 0);
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, WhatDoesNotMoveForTheIdleTimeoutEndsIt) {
  room_.web.send_queue = 5'000'000;
  Peer peer = open_stream();
  fill();
  room_.pass(room_.web.idle_timeout_ms - 5'000);
  EXPECT_NE(session(), nullptr);
  ASSERT_FALSE(peer.received().empty());  // it reads
  for (int i = 0; i < 2; ++i) room_.turn();
  ASSERT_GT(session()->transport->unsent(), 0u);
  room_.pass(room_.web.idle_timeout_ms - 5'000);
  EXPECT_NE(session(), nullptr) << "some of it has moved since";
  room_.pass(6'000);
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::idle});
  peer.close();
  expect_nothing_left();
}

TEST_F(EventStreamTest, TheEndOfItsStreamIsItsGoodbye) {
  Peer peer = open_stream();
  peer.end_output();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::client_closed});
  expect_nothing_left();
}

TEST_F(EventStreamTest, LineEndsAreNothingAndOtherBytesEndIt) {
  Peer peer = ask(request("POST", {}, "channel=a") + "\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return events(peer).empty(); }));
  peer.send("\r\n\n");
  for (int i = 0; i < 3; ++i) room_.turn();
  EXPECT_NE(session(), nullptr);
  peer.send("GET /ws HTTP/1.1\r\n");
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::protocol});
  EXPECT_EQ(events(peer), "");
  peer.close();
  expect_nothing_left();
}

TEST_F(EventStreamTest, AnEndOfTheApplicationIsToldAndOthersAreNot) {
  struct Case {
    uint16_t code;
    std::string told;
  };
  for (const Case& c : {Case{4000,
                             "event: holdfast.closed\n"
                             "data: {\"code\":4000,\"reason\":\"go \\\"away\\\"\"}\n\n"},
                        Case{1012, ""}, Case{1008, ""}}) {
    Peer peer = open_stream();
    session()->transport->close(c.code, "go \"away\"", EndReason::kicked);
    EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
    EXPECT_EQ(events(peer), c.told);
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, AnExpiredTokenIsTold) {
  Peer peer = open_stream();
  session()->transport->close(EndReason::expired);
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_NE(events(peer).find("{\"code\":4401,"), std::string::npos) << events(peer);
}

TEST_F(EventStreamTest, SlowOneIsEndedAfterWhatItHasHalf) {
  room_.web.send_queue = 5'000'000;
  Peer peer = open_stream();
  fill();
  EXPECT_TRUE(send(std::string(1000, 'y')));
  EXPECT_FALSE(send(std::string(1'500'000, 'z')));
  room_.turn();
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::slow});
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(events(peer), "data: " + std::string(4'000'000, 'x') + "\n\n");
}

// The head and the comments stay, whole events go.
TEST_F(EventStreamTest, DropsTheOldestEventsWhole) {
  room_.web.send_queue = 5'000'000;
  room_.web.slow_consumer = conf::SlowConsumer::drop_oldest;
  Peer peer = open_stream();
  fill();
  for (char c = 'a'; c < 'k'; ++c) EXPECT_TRUE(send(std::string(300'000, c)));
  EXPECT_GT(stats().messages_dropped_slow.get(), 0u);
  EXPECT_TRUE(
      room_.turn_until([&] { return (void)peer.received(), session()->transport->unsent() == 0; }));
  std::string all = events(peer).substr(4'000'008), names;
  ASSERT_EQ(all.size() % 300'008, 0u);
  for (size_t at = 0; at < all.size(); at += 300'008) {
    EXPECT_EQ(all.substr(at, 6), "data: ");
    names += all[at + 6];
  }
  EXPECT_TRUE(std::string_view("abcdefghij").ends_with(names)) << names;
  EXPECT_LT(names.size(), 10u);
}

// ---- the request

TEST_F(EventStreamTest, RequestsThatCannotBeAnswered) {
  room_.web.origins = {"https://good.example"};
  struct Case {
    std::string text, status, more;
  };
  for (const Case& c : {
           Case{request("PUT"), "405", "Allow: GET, HEAD, POST, OPTIONS\r\n"},
           Case{request("GET", "Origin: https://bad.example\r\n"), "403", "not allowed"},
           Case{request("GET", "Origin: a\r\nOrigin: b\r\n"), "400", "more than one Origin"},
           Case{request("POST", "Content-Type: application/json\r\n", "{}"), "415", "urlencoded"},
           Case{request("POST", {}, "channel=a b"), "400", "%XX"},
           Case{request("POST", {}, "channel=a\r\nb"), "400", "%XX"},
           Case{request("POST", {}, std::string(17'000, 'x')), "413", ""},
           Case{request("GET", "X-A.B: 1\r\nX-A-B: 1\r\n"), "400", "could not tell apart"},
           Case{request("GET", {}, {}, "/other"), "404", ""},
           Case{request("GET", {}, {}, "/ws?names=all"), "400", "names"},
           Case{request("GET", {}, {}, "/ws?names=%z"), "400", "names"},
           Case{request("POST", {}, "names=", "/ws?names=channel"), "400", "names"},
           Case{"GET /ws HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", "426", "Upgrade"},
           Case{"OPTIONS /ws HTTP/1.1\r\nHost: x\r\n\r\n", "405", ""},
       }) {
    std::string answer = answer_to(c.text);
    EXPECT_EQ(answer.substr(9, 3), c.status) << c.text;
    EXPECT_NE(answer.find(c.more), std::string::npos) << answer;
  }
  room_.web.streams.clear();
  EXPECT_EQ(answer_to(request("GET")).substr(9, 3), "426");
  EXPECT_EQ(answer_to(request("POST", {}, "a=b")).substr(9, 3), "413");
  EXPECT_EQ(stats().connections_open.get(), 0u);
}

TEST_F(EventStreamTest, ARefusedHeadHasNoBody) {
  room_.web.origins = {"https://good.example"};
  for (std::string text :
       {request("HEAD", "Origin: https://bad.example\r\n"), request("HEAD", {}, {}, "/other")}) {
    std::string answer = answer_to(text);
    EXPECT_EQ(answer.substr(9, 1), "4") << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  }
}

TEST_F(EventStreamTest, AnUpgradeToSomethingElseIsNotWanted) {
  Peer peer = open_stream("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n");
  EXPECT_NE(session(), nullptr);
  peer.close();
  expect_nothing_left();
  EXPECT_EQ(answer_to("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n").substr(9, 3), "426");
}

TEST_F(EventStreamTest, AcceptIsReadAsTheListItIs) {
  for (const char* accept : {"text/html, text/event-stream", "Text/Event-Stream;q=0.5,*/*",
                             "*/*, text/event-stream ; charset=utf-8"}) {
    Peer peer = ask(fmt::format("GET /ws HTTP/1.1\r\nHost: x\r\nAccept: {}\r\n\r\n", accept));
    EXPECT_TRUE(room_.turn_until([&] { return events(peer).empty(); })) << accept;
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, PagesOfAllowedOriginsAreToldSo) {
  room_.web.origins = {"https://good.example"};
  const std::string origin = "Origin: https://good.example\r\n";
  const std::string allowed =
      "\r\nAccess-Control-Allow-Origin: https://good.example\r\n"
      "Access-Control-Allow-Credentials: true\r\n";
  Peer peer = open_stream(origin);
  EXPECT_NE(peer.received().find(allowed), std::string::npos) << peer.received();
  peer.close();
  expect_nothing_left();
  std::string preflight = answer_to("OPTIONS /ws HTTP/1.1\r\nHost: x\r\n" + origin +
                                    "Access-Control-Request-Method: POST\r\n\r\n");
  EXPECT_EQ(preflight.substr(9, 3), "204");
  for (std::string line :
       {"Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS", "Vary: Origin"})
    EXPECT_NE(preflight.find("\r\n" + line + "\r\n"), std::string::npos) << preflight;
  EXPECT_NE(preflight.find(allowed), std::string::npos) << preflight;
  EXPECT_NE(preflight.find("Last-Event-ID"), std::string::npos) << preflight;
  std::string wrong = answer_to(request("POST", origin + "Content-Type: a/b\r\n", "x"));
  EXPECT_EQ(wrong.substr(9, 3), "415");
  EXPECT_NE(wrong.find(allowed), std::string::npos) << "a page may read why";
}

TEST_F(EventStreamTest, HeadIsAnsweredByTheHeadAlone) {
  std::string answer = answer_to(request("HEAD"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
  EXPECT_EQ(stats().sse_opened.get(), 0u);
}

TEST_F(EventStreamTest, ParametersOfTheBodyStandBehindThoseOfTheUrl) {
  RelayBackend relay{room_.runtime, room_.sessions, room_.router};
  struct Case {
    std::string text;
    std::vector<std::string> channels;
  };
  const std::string form = "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n";
  for (const Case& c : {Case{request("GET", {}, {}, "/ws?channel=a&channel=b"), {"a", "b"}},
                        Case{request("POST", form, "channel=c%20d", "/ws?channel=a"), {"a", "c d"}},
                        Case{request("POST", form, "channel=a&channel=b\r\n"), {"a", "b"}},
                        Case{"POST /ws HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n9\r\nchannel=a\r\n0\r\n\r\n",
                             {"a"}}}) {
    Peer peer = room_.connect(room_.web, relay);
    peer.send(c.text);
    ASSERT_TRUE(room_.turn_until([&] { return events(peer).empty(); })) << peer.received();
    std::vector<std::string> in;
    for (const auto& m : session()->memberships) in.push_back(m.channel->name);
    EXPECT_EQ(in, c.channels);
    EXPECT_EQ(room_.execute({.op = Op::publish, .channels = {"a"}, .data = "hi"}).delivered, 1u);
    EXPECT_TRUE(room_.turn_until([&] { return events(peer) == "data: hi\n\n"; }));
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, EventsBearTheNameOfTheirChannelIfAskedFor) {
  room_.web.channels = {"holdfast.closed", "error"};
  RelayBackend relay{room_.runtime, room_.sessions, room_.router};
  Peer peer = room_.connect(room_.web, relay), plain = room_.connect(room_.web, relay);
  peer.send(request("GET", {}, {}, "/ws?channel=a&channel=b+c&names=channel"));
  plain.send(request("GET", {}, {}, "/ws?channel=a"));
  ASSERT_TRUE(room_.turn_until([&] { return events(peer).empty() && events(plain).empty(); }));
  auto publish = [&](std::vector<std::string> channels, bool binary = false) {
    Command command{.op = Op::publish, .channels = std::move(channels), .data = "x"};
    command.binary = binary;
    room_.execute(command);
  };
  publish({"a", "b c", "a"});
  publish({"a"}, true);
  publish({"error", "holdfast.closed"});
  EXPECT_TRUE(send("to one"));
  const std::string a = "data: x\nevent: a\n\n", message = "data: x\n\n";
  std::string expected = a + "data: x\nevent: b c\n\n" + a +
                         "data: eA==\nevent: holdfast.binary\n\n" + message + message;
  EXPECT_TRUE(room_.turn_until([&] { return events(peer).starts_with(expected); })) << events(peer);
  EXPECT_TRUE(room_.turn_until([&] { return events(plain).starts_with(message + message); }));
  EXPECT_EQ((events(peer) + events(plain)).find("one\nevent"), std::string::npos);
}

// ---- positions

// Writes down who asks since when.
class NotingCatchUp final : public CatchUp {
 public:
  void begin(ChannelMember&, std::string_view channel, const Position& since) override {
    asked.push_back(std::string(channel) + " " + (since.known() ? text_of(since) : "new"));
  }
  std::optional<Position> since_of(const ChannelMember&, std::string_view) const override {
    return {};
  }
  std::vector<std::string> asked;
};

class EventPositions : public EventStreamTest {
 protected:
  EventPositions() {
    room_.config.channels = {{.pattern = "s*", .history_size = 10}};
    room_.runtime.catch_up = &catch_up_;
  }
  Peer come(const std::string& query, const std::string& more = {}) {
    Peer peer = room_.connect(room_.web, relay_);
    peer.send(request("GET", more, {}, "/ws?" + query));
    EXPECT_TRUE(room_.turn_until([&] { return events(peer).empty(); })) << peer.received();
    return peer;
  }
  void deliver(std::string_view text, std::string_view channel, Position at) {
    Payload payload(text, false);
    payload.came_from(channel, at);
    payload.go_to(nullptr, 0, channel);
    EXPECT_TRUE(room_.sessions.deliver(*session(), payload, Urgency::bulk));
  }
  void expect_events(Peer& peer, const std::string& expected) {
    EXPECT_TRUE(room_.turn_until([&] { return events(peer).size() >= expected.size(); }));
    EXPECT_EQ(events(peer), expected);
  }
  static constexpr uint64_t kEpoch = 0x123456789abc;
  static std::string at(uint64_t offset) { return text_of(Position{kEpoch, offset}); }

  RelayBackend relay_{room_.runtime, room_.sessions, room_.router};
  NotingCatchUp catch_up_;
};

TEST_F(EventPositions, OfOneChannelAreInTheEventOfAll) {
  Peer peer = come("channel=s1&channel=other");
  EXPECT_EQ(catch_up_.asked, std::vector<std::string>{"s1 new"});
  session()->transport->caught_up({.channel = "s1", .recovered = true, .at = {kEpoch, 6}});
  deliver("a", "s1", {kEpoch, 7});
  deliver("b", "other", {});
  expect_events(peer, ":\nid: " + at(6) + "\n\ndata: a\nid: " + at(7) + "\n\ndata: b\n\n");
  Payload payload("x", false);
  payload.came_from("s1", {kEpoch, 8});
  EXPECT_EQ(payload.event(false, true).bytes().data(), payload.event(false, true).bytes().data());
}

TEST_F(EventPositions, OfSeveralChannelsStandBeforeTheEvent) {
  Peer peer = come("channel=s1&channel=s+2", "Last-Event-ID: s1=" + at(3) + "\r\n");
  EXPECT_EQ(catch_up_.asked, (std::vector<std::string>{"s1 " + at(3), "s 2 new"}));
  session()->transport->caught_up({.channel = "s 2", .recovered = true, .at = {kEpoch, 1}});
  session()->transport->caught_up(
      {.channel = "s1", .asked = true, .recovered = true, .at = {kEpoch, 4}});
  deliver("a", "s1", {kEpoch, 4});
  deliver("b", "s 2", {kEpoch, 2});
  deliver("c", "other", {});
  expect_events(
      peer, ":\nid: s1=" + at(3) + "&s%202=" + at(1) +
                "\n\nevent: holdfast.recovered\ndata: {\"channel\":\"s1\",\"position\":\"" + at(4) +
                "\"}\n\nid: s1=" + at(4) + "&s%202=" + at(1) + "\ndata: a\n\nid: s1=" + at(4) +
                "&s%202=" + at(2) + "\ndata: b\n\ndata: c\n\n");
  room_.sessions.leave(*session(), "s1");
  room_.sessions.join(*session(), "s3");
  deliver("d", "s3", {kEpoch, 9});
  ASSERT_TRUE(room_.turn_until([&] { return events(peer).ends_with("data: d\n\n"); }));
  EXPECT_TRUE(events(peer).ends_with("\n\nid: s%202=" + at(2) + "&s3=" + at(9) + "\ndata: d\n\n"))
      << events(peer);
}

TEST_F(EventPositions, WhatWasMissedIsToldWithThePresentPosition) {
  Peer peer = come("channel=s1&since=" + at(3));
  EXPECT_EQ(catch_up_.asked, std::vector<std::string>{"s1 " + at(3)});
  session()->transport->caught_up({.channel = "s1", .asked = true, .at = {kEpoch, 40}});
  session()->transport->caught_up({.channel = "s1", .at = {kEpoch, 50}});
  session()->transport->caught_up({.channel = "s1", .asked = true});
  session()->transport->caught_up({.channel = "s1"});
  auto missed = [&](uint64_t offset) {
    return "event: holdfast.missed\ndata: {\"channel\":\"s1\",\"position\":\"" + at(offset) +
           "\"}\nid: " + at(offset) + "\n\n";
  };
  expect_events(peer, missed(40) + missed(50) +
                          "event: holdfast.missed\ndata: "
                          "{\"channel\":\"s1\",\"position\":null}\n\n");
}

TEST_F(EventPositions, TheHeaderCountsBeforeTheParameter) {
  Peer peer = come("channel=s1&channel=s2&since=" + at(3), "Last-Event-ID: " + at(5) + "\r\n");
  EXPECT_EQ(catch_up_.asked, (std::vector<std::string>{"s1 " + at(5), "s2 " + at(5)}))
      << "an epoch is one channel's";
  peer.close();
  expect_nothing_left();
  catch_up_.asked.clear();
  peer = come("channel=other&since=" + at(3));
  EXPECT_EQ(catch_up_.asked, std::vector<std::string>{"other " + at(3)}) << "to be told";
  peer.close();
  expect_nothing_left();
  for (const char* bad : {"x", "a=", "s1=x"}) {
    EXPECT_EQ(answer_to(request("GET", {}, {}, std::string("/ws?since=") + bad)).substr(9, 3),
              "400");
    EXPECT_EQ(answer_to(request("GET", fmt::format("Last-Event-ID: {}\r\n", bad))).substr(9, 3),
              "400");
  }
}

TEST_F(EventStreamTest, ARefusalOfTheApplicationIsAnswered) {
  room_.backend.accepts = false;
  room_.web.origins = {"*"};
  for (int status : {403, 503}) {
    Peer peer = ask(request("GET", "Origin: https://a.example\r\n"));
    ASSERT_TRUE(room_.turn_until([&] { return session() != nullptr; }));
    session()->transport->refuse(status, "no");
    EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
    EXPECT_EQ(peer.received().substr(9, 3), std::to_string(status));
    EXPECT_NE(peer.received().find("Allow-Origin: https://a.example\r\n"), std::string::npos);
    EXPECT_EQ(peer.received().find("\r\nRetry-After: ") != std::string::npos, status == 503);
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, ATokenIsAskedForAsOfAWebSocket) {
  const std::string key(32, 'k');
  room_.web.token = conf::ConnectToken{conf::TokenAlgorithm::hs256, "", key, "", true};
  std::string token = to_base64url(R"({"alg":"HS256"})") + "." +
                      to_base64url(R"({"sub":"ann","channels":["a"],"exp":99999999999})");
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  HMAC(EVP_sha256(), key.data(), int(key.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac, &bytes);
  token += "." + to_base64url({reinterpret_cast<const char*>(mac), bytes});
  std::string refusal = answer_to(request("GET"));
  EXPECT_EQ(refusal.substr(9, 3), "401");
  EXPECT_NE(refusal.find("\r\nWWW-Authenticate: Bearer"), std::string::npos);
  for (const std::string& text :
       {request("GET", "Authorization: Bearer " + token + "\r\n"),
        request("GET", {}, {}, "/ws?token=" + token), request("POST", {}, "token=" + token)}) {
    Peer peer = ask(text);
    ASSERT_TRUE(room_.turn_until([&] { return events(peer).empty(); })) << peer.received();
    EXPECT_EQ(session()->user, "ann");
    ASSERT_EQ(session()->memberships.size(), 2u) << "the user's and a channel";
    peer.close();
    expect_nothing_left();
  }
}

TEST_F(EventStreamTest, TheAddressCountsAsLongAsTheStream) {
  room_.config.limits.max_connections_per_ip = 1;
  shm::SessionOrigin origin;
  origin.peer.s6_addr[15] = 1;
  auto come = [&] {
    Peer peer = room_.connect(room_.web, room_.backend, nullptr, origin);
    peer.send(request("GET"));
    return peer;
  };
  for (int i = 0; i < 3; ++i) {
    Peer first = come();
    ASSERT_TRUE(room_.turn_until([&] { return events(first).empty(); })) << i;
    Peer second = room_.connect(room_.web, room_.backend, nullptr, origin);
    EXPECT_TRUE(room_.turn_until([&] { return second.at_end(); }));
    EXPECT_EQ(second.received().substr(9, 3), "429");
    EXPECT_NE(second.received().find("\r\nRetry-After: "), std::string::npos);
    first.close();
    second.close();
    expect_nothing_left();
  }
}

// What came in one read with the request, as ciphertext, is not lost with the object that read it.
TEST_F(EventStreamTest, TlsGoesOnWithTheRecordsThatCameWithTheRequest) {
  static const tls::Context context =
      std::move(*tls::Context::make({test::make_certificate({"one.example"})}));
  test::OpensslClient ssl({.version = TLS1_3_VERSION});
  Peer peer = room_.connect(room_.web, room_.backend, &context);
  size_t given = 0;
  std::string heard;
  auto hear = [&] {
    const std::string& all = peer.received();
    ssl.give(std::string_view(all).substr(given));
    given = all.size();
    if (std::string bytes = ssl.take(); !bytes.empty()) peer.send(bytes);
    if (ssl.shaken()) heard += ssl.hear();
  };
  ASSERT_TRUE(room_.turn_until([&] { return hear(), ssl.shaken(); }));
  ssl.say(request("GET"));
  ssl.say("\r\n");
  peer.send(ssl.take());
  ASSERT_TRUE(room_.turn_until([&] { return hear(), heard.find("retry: ") != heard.npos; }));
  EXPECT_TRUE(send("secret"));
  EXPECT_TRUE(room_.turn_until([&] { return hear(), heard.ends_with("data: secret\n\n"); }));
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
  ssl.say("\r\n");
  ssl.say("x");
  peer.send(ssl.take());
  EXPECT_TRUE(room_.turn_until([&] { return room_.backend.endings.size() == 1; }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::protocol});
  EXPECT_EQ(stats().tls_failed.get(), 0u);
  peer.close();
  expect_nothing_left();
}

TEST_F(EventStreamTest, AnEndingServerRefusesAndEnds) {
  room_.backend.accepts = false;
  Peer asking = ask(request("GET"));
  ASSERT_TRUE(room_.turn_until([&] { return session() != nullptr; }));
  session()->transport->wind_up(WindUp::unopened);
  EXPECT_TRUE(room_.turn_until([&] { return asking.at_end(); }));
  EXPECT_EQ(asking.received().substr(9, 3), "503");
  room_.backend.accepts = true;
  Peer open = open_stream();
  session()->transport->wind_up(WindUp::unopened);
  EXPECT_NE(session(), nullptr);
  session()->transport->wind_up(WindUp::all);
  EXPECT_TRUE(room_.turn_until([&] { return open.at_end(); }));
  EXPECT_EQ(events(open), "") << "it comes back";
}

}  // namespace
}  // namespace holdfast
