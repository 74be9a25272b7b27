#include "worker/api_connection.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/room.h"

namespace holdfast {
namespace {

// Answers when it is told to.
class HeldRouter final : public Router {
 public:
  void execute(const Command&, CommandDone done) override { held.push_back(std::move(done)); }
  void release() {
    CommandDone done = std::move(held.front());
    held.pop_front();
    CommandResult result;
    result.channels.assign(listed, {"a channel", 1});
    done(std::move(result));
  }
  std::deque<CommandDone> held;
  size_t listed = 0;
};

constexpr std::string_view kHealth = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kChannels = "GET /v1/channels?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n";

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
    return room_.turn_until([&] { return room_.connections.size() == 0; }) && home_.waiting.empty();
  }

  test::Instance instance_;
  conf::Api api_;
  HeldRouter router_;
  test::Room room_{instance_};
  ApiHome home_{room_.runtime,
                room_.connections,
                {&room_.config, &api_, &instance_.segment, 0, &router_, &room_.runtime.stats,
                 &room_.runtime.draining},
                {}};

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
  for (int i = 0; i < 100; ++i) requests += kChannels;
  peer.send(requests);
  for (int i = 0; i < 300; ++i) {
    room_.turn();
    if (!router_.held.empty()) router_.release();
  }
  EXPECT_LT(room_.runtime.stats.api_requests.get(), 100u);
  EXPECT_LT(room_.runtime.stats.bytes_unsent.get(), 6u * 1024 * 1024);
  EXPECT_TRUE(room_.turn_until([&] {
    if (!router_.held.empty()) router_.release();
    return answers(peer.received()) == 100;
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

}  // namespace
}  // namespace holdfast
