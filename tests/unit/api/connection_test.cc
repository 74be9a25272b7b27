#include "worker/api/connection.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "worker/api/http/face.h"

namespace holdfast {
namespace {

// Answers when it is told to.
class HeldRouter final : public Router {
 public:
  void execute(const Command& command, CommandDone done) override {
    seen.push_back(command.op);
    held.push_back(std::move(done));
  }
  void release(size_t which = 0) {
    CommandDone done = std::move(held[which]);
    held.erase(held.begin() + std::ptrdiff_t(which));
    CommandResult result;
    result.delivered = ++released;
    result.names.assign(listed, {"a channel", 1, 0, 0});
    done(std::move(result));
  }
  size_t waiting(uint64_t) const override { return waits; }
  size_t waits = 0;
  std::vector<Op> seen;
  std::deque<CommandDone> held;
  uint64_t released = 0;
  size_t listed = 0;
};

constexpr std::string_view kHealth = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kChannels = "GET /v1/channels?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view path, std::string_view body, std::string_view more = {}) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}", path, more,
                     body.size(), body);
}
const std::string kPush = post("/v1/send-all", R"({"data":"x"})");
const std::string kJoin = post("/v1/join", R"({"users":["u"],"channels":["c"]})");
const std::string kPublish = post("/v1/publish", R"({"channels":["c"],"data":"x"})");

// The numbers that the answers say were delivered: "1 2 3 ".
std::string delivered(const std::string& bytes) {
  constexpr std::string_view kKey = R"("delivered":)";
  std::string numbers;
  for (size_t at = 0; (at = bytes.find(kKey, at)) != std::string::npos;) {
    at += kKey.size();
    numbers += bytes.substr(at, bytes.find_first_not_of("0123456789", at) - at) + " ";
  }
  return numbers;
}

size_t answers(const std::string& bytes) {
  size_t n = 0;
  for (size_t at = 0; (at = bytes.find("HTTP/1.1 200 OK\r\n", at)) != std::string::npos; ++at) ++n;
  return n;
}

class ApiConnectionTest : public ::testing::Test {
 protected:
  test::Peer connect() {
    auto [near, far] = test::socket_pair();
    auto made = std::make_unique<ApiConnection>(home_, std::move(near));
    ApiConnection& started = *made;
    room_.connections.add(std::move(made));
    started.start();
    return {std::move(far), nullptr};
  }
  bool gone() {
    return room_.turn_until([&] { return room_.connections.size() == 0; }) &&
           home_.connections.empty();
  }

  test::Instance instance_;
  conf::Api api_;
  HeldRouter router_;
  test::Room room_{instance_};
  ApiHome home_{room_.runtime,
                room_.connections,
                {&room_.config, &api_, &instance_.segment, 0, &router_, &room_.runtime.stats,
                 &room_.runtime.draining, &room_.hub, &room_.tracer},
                [](const api::ApiContext& context, api::Wire& wire) -> std::unique_ptr<api::Face> {
                  return std::make_unique<api::HttpFace>(context, wire);
                }};

  void TearDown() override { room_.connections.clear(); }  // before their home
};

TEST_F(ApiConnectionTest, PipelinedRequestsAreAnsweredInOrderAndSomeEachTurn) {
  test::Peer peer = connect();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kHealth;
  peer.send(many);
  room_.turn();
  EXPECT_LE(room_.runtime.stats.api_requests.get(), 100u) << "one turn is bounded";
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 1000; }));
}

TEST_F(ApiConnectionTest, PipelinedRequestsAreAllAnsweredToOneWhoEndedItsSide) {
  test::Peer peer = connect();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kHealth;
  peer.send(many);
  peer.end_output();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(answers(peer.received()), 1000u);
  EXPECT_TRUE(gone());
}

TEST_F(ApiConnectionTest, RequestBehindOneThatWaitsIsAnsweredAfterIt) {
  test::Peer peer = connect();
  peer.send(std::string(kChannels) + std::string(kHealth));
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  EXPECT_EQ(peer.received(), "");
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 2; }));
  EXPECT_LT(peer.received().find("\"channels\""), peer.received().find("\"status\""));
}

TEST_F(ApiConnectionTest, NoMoreIsTakenWhileItsPushesToManyWait) {
  test::Peer peer = connect();
  router_.waits = 4;
  peer.send(kPush + kPush);
  for (int n = 0; n < 10; ++n) room_.turn();
  EXPECT_EQ(router_.seen.size(), 0u);
  router_.waits = 3;
  EXPECT_TRUE(room_.turn_until([&] { return router_.seen.size() == 2; }));
}

TEST_F(ApiConnectionTest, LongAnswerReachesOneWhoEndedItsSide) {
  test::Peer peer = connect();
  peer.send(kChannels);
  peer.end_output();
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  router_.listed = 10'000;
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().ends_with("\"more\":false}")) << peer.received().size();
  EXPECT_TRUE(gone());
}

TEST_F(ApiConnectionTest, ReplyAfterItsConnectionIsGoneIsThrownAway) {
  test::Peer peer = connect();
  peer.send(kChannels);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  room_.connections.for_each([&](Connection& c) { room_.connections.retire(c); });
  room_.turn();
  router_.release();
  room_.turn();
  EXPECT_TRUE(peer.at_end());
  EXPECT_EQ(peer.received(), "");
}

TEST_F(ApiConnectionTest, RequestThatComesInTooSlowlyIsGivenUp) {
  test::Peer peer = connect();
  peer.send("POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  room_.turn();
  for (int i = 0; i < 31 && !peer.at_end(); ++i) {
    peer.send("x");
    room_.pass(1'000);
  }
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(gone());
}

TEST_F(ApiConnectionTest, IdleOneIsClosed) {
  test::Peer peer = connect();
  peer.send(kHealth);
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 1; }));
  room_.pass(76'000);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(gone());
}

TEST_F(ApiConnectionTest, LastAnswerToASlowReaderIsNotCutOffAfterTwoSeconds) {
  test::Peer peer = connect();
  peer.send("GET /v1/channels?limit=10000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  router_.listed = 10'000;
  router_.release();
  room_.turn();
  room_.pass(5'000);
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().ends_with("\"more\":false}")) << peer.received().size();
}

TEST_F(ApiConnectionTest, OneThatDoesNotReadItsAnswersIsReadNoFurther) {
  test::Peer peer = connect();
  router_.listed = 10'000;
  std::string requests;
  for (int i = 0; i < 25; ++i) requests += kChannels;
  peer.send(requests);
  for (int i = 0; i < 100; ++i) {
    room_.turn();
    if (!router_.held.empty()) router_.release();
  }
  EXPECT_LT(room_.runtime.stats.api_requests.get(), 25u);
  EXPECT_LT(room_.runtime.stats.bytes_unsent.get(), 6u * 1024 * 1024);
  EXPECT_TRUE(room_.turn_until([&] {
    if (!router_.held.empty()) router_.release();
    return answers(peer.received()) == 25;
  }));
}

TEST_F(ApiConnectionTest, IdleOneGoesWhenTheWorkerWindsUpABusyOneAnswersFirst) {
  test::Peer idle = connect(), busy = connect();
  busy.send(kChannels);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  room_.runtime.draining = true;
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::unopened); });
  EXPECT_TRUE(room_.turn_until([&] { return idle.at_end(); }));
  EXPECT_FALSE(busy.at_end());
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return busy.at_end(); }));
  EXPECT_EQ(answers(busy.received()), 1u);
  EXPECT_TRUE((idle.close(), busy.close(), gone()));
}

TEST_F(ApiConnectionTest, AnswersLeaveInOrderAlthoughTheyComeInAnother) {
  test::Peer peer = connect();
  peer.send(kPush + kPush + kPush + std::string(kHealth));
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 3; })) << "all are under way";
  router_.release(2);
  router_.release(1);
  room_.turn();
  EXPECT_EQ(peer.received(), "");
  router_.release(0);
  ASSERT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 4; }));
  EXPECT_EQ(delivered(peer.received()), "3 2 1 ");
  EXPECT_TRUE(peer.received().ends_with(R"({"status":"ok"})"));
}

TEST_F(ApiConnectionTest, PublishBehindAJoinWaitsForItsAnswer) {
  test::Peer peer = connect();
  peer.send(kPublish + kJoin + kPublish + kPublish);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 2; }));
  room_.turn();
  EXPECT_EQ(router_.seen, (std::vector{Op::publish, Op::join}));
  router_.release(1);
  room_.turn();
  EXPECT_EQ(router_.seen.size(), 2u) << "all earlier answers must be in";
  router_.release(0);
  EXPECT_TRUE(room_.turn_until([&] { return router_.held.size() == 2; }));
  router_.release();
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 4; }));
}

TEST_F(ApiConnectionTest, WhatComesBehindABatchWaitsForIt) {
  test::Peer peer = connect();
  peer.send(post("/v1/batch", R"({"commands":[{"op":"send-all","data":"1"},
                                               {"op":"send-all","data":"2"}]})") +
            kPublish);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  router_.release();
  room_.turn();
  EXPECT_EQ(router_.seen, (std::vector{Op::send_all, Op::send_all}));
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return router_.seen.size() == 3; }));
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 2; }));
}

TEST_F(ApiConnectionTest, OwesAtMost1024AnswersAndReadsOnWhenOneIsGiven) {
  test::Peer peer = connect();
  std::string hundred;
  for (int i = 0; i < 100; ++i) hundred += kPush;
  size_t sent = 0;
  for (; sent < 1500; sent += 100) {
    peer.send(hundred);
    for (int i = 0; i < 5; ++i) room_.turn();
  }
  EXPECT_EQ(router_.held.size(), ApiConnection::kMaxRow);
  router_.release(500);  // not the first: nothing can leave
  for (int i = 0; i < 10; ++i) room_.turn();
  EXPECT_EQ(router_.seen.size(), ApiConnection::kMaxRow);
  router_.release(0);
  EXPECT_TRUE(room_.turn_until([&] { return router_.seen.size() == ApiConnection::kMaxRow + 1; }));
  EXPECT_TRUE(room_.turn_until([&] {
    while (!router_.held.empty()) router_.release();
    return answers(peer.received()) == sent;
  }));
}

TEST_F(ApiConnectionTest, OneWhoEndedItsSideGetsTheAnswersStillOwed) {
  test::Peer peer = connect();
  peer.send(kPush + kPush + kPush + "POST /v1/se");
  peer.end_output();
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 3; }));
  room_.turn();
  EXPECT_FALSE(peer.at_end());
  while (!router_.held.empty()) router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(delivered(peer.received()), "1 2 3 ");
  EXPECT_TRUE(gone());
}

TEST_F(ApiConnectionTest, NothingBehindConnectionCloseIsCarriedOut) {
  test::Peer peer = connect();
  peer.send(kPush + post("/v1/send-all", R"({"data":"x"})", "Connection: close\r\n") + kPush);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 2; }));
  router_.release(1);
  room_.turn();
  EXPECT_FALSE(peer.at_end());
  router_.release(0);
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(delivered(peer.received()), "2 1 ");
  EXPECT_EQ(router_.seen.size(), 2u);
  EXPECT_LT(peer.received().find("Connection: keep-alive"),
            peer.received().find("Connection: close"));
}

TEST_F(ApiConnectionTest, RequestTakenWhileTheWorkerDrainsIsTheLast) {
  test::Peer peer = connect();
  peer.send(kPush);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  room_.runtime.draining = true;
  peer.send(kHealth);
  room_.turn();
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(answers(peer.received()), 2u);
  EXPECT_EQ(peer.received().find("Connection: close"), peer.received().rfind("Connection:"))
      << "the last one only: " << peer.received();
}

TEST_F(ApiConnectionTest, ContinueIsSaidOnceAndBehindTheAnswersBeforeIt) {
  test::Peer peer = connect();
  std::string expecting = post("/v1/send-all", R"({"data":"x"})", "Expect: 100-continue\r\n");
  size_t body = expecting.find("\r\n\r\n") + 4;
  peer.send(kPush + expecting.substr(0, body));
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  EXPECT_EQ(peer.received(), "");
  router_.release();
  EXPECT_TRUE(
      room_.turn_until([&] { return peer.received().ends_with("HTTP/1.1 100 Continue\r\n\r\n"); }));
  peer.send(expecting.substr(body));
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 2; }));
  EXPECT_EQ(peer.received().find("100 Continue"), peer.received().rfind("100 Continue"));
}

TEST_F(ApiConnectionTest, BytesThatAreNoHttpEndTheConnectionBehindTheAnswersBeforeThem) {
  test::Peer peer = connect();
  peer.send(kPush + "\x16\x03\x01 is no HTTP\r\n\r\n" + kPush);
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 1; }));
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(delivered(peer.received()), "1 ");
  EXPECT_NE(peer.received().find("HTTP/1.1 400 Bad Request\r\n"), std::string::npos);
  EXPECT_NE(peer.received().find(R"({"error":{"code":"bad_http")"), std::string::npos);
  EXPECT_EQ(router_.seen.size(), 1u);
  EXPECT_EQ(room_.runtime.stats.api_bad_input.get(), 1u);
}

TEST_F(ApiConnectionTest, WellFormedNonsenseIsNoBadInput) {
  test::Peer peer = connect();
  peer.send(post("/v1/send-all", "{") + post("/v1/nothing", "{}") + std::string(kHealth));
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 1; }));
  EXPECT_FALSE(peer.at_end());
  EXPECT_EQ(room_.runtime.stats.api_errors.get(), 2u);
  EXPECT_EQ(room_.runtime.stats.api_bad_input.get(), 0u);
}

TEST_F(ApiConnectionTest, RequestsMayComeByteByByte) {
  test::Peer peer = connect();
  for (char c : kPush + kPush) {
    peer.send({&c, 1});
    room_.turn();
  }
  ASSERT_TRUE(room_.turn_until([&] { return router_.held.size() == 2; }));
  router_.release();
  router_.release();
  EXPECT_TRUE(room_.turn_until([&] { return answers(peer.received()) == 2; }));
}

TEST_F(ApiConnectionTest, ATraceTakesTheConnectionUntilItsCallerLeaves) {
  test::Peer peer = connect();
  peer.send("GET /v1/trace?channel=c HTTP/1.1\r\nHost: x\r\n\r\n" + kPush);
  ASSERT_TRUE(room_.turn_until([&] { return peer.received().ends_with("\r\n\r\n"); }));
  EXPECT_NE(peer.received().find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  room_.pass(100'000);
  EXPECT_TRUE(room_.turn_until([&] { return room_.tracer.on(); }));
  room_.hub.join(room_.open_session(), "c");
  room_.router.execute({.op = Op::publish, .channels = {"c"}, .data = "x"}, {});
  EXPECT_TRUE(room_.turn_until([&] {
    return peer.received().find(R"("event":"publish")") != std::string::npos;
  })) << peer.received();
  EXPECT_EQ(router_.seen.size(), 0u) << "nothing behind it is carried out";
  peer.close();
  EXPECT_TRUE(room_.turn_until([&] { return home_.connections.empty(); }));
}

TEST_F(ApiConnectionTest, ATraceThatTheWorkerEndsIsAWholeAnswer) {
  test::Peer peer = connect();
  peer.send("GET /v1/trace?channel=c HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(room_.turn_until([&] { return peer.received().ends_with("\r\n\r\n"); }));
  room_.connections.for_each([](Connection& c) { c.wind_up(WindUp::unopened); });
  EXPECT_TRUE(room_.turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().ends_with("\r\n0\r\n\r\n")) << peer.received();
}

}  // namespace
}  // namespace holdfast
