// What an API connection does for any face, shown with one of a few words: a line is a request.
//   now TEXT    answered at once            later   answered by the test
//   silent      no answer                   change  like later; what follows waits
//   push TEXT   pushes it, then "ok"        last    like later, and ends the connection
//   abort       ends the connection         slow    unsent() as an answer
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>

#include "tests/unit/room.h"
#include "worker/api/connection.h"

namespace holdfast {
namespace {

struct Script {
  std::vector<std::string> seen;
  std::deque<api::Reply> owed;
  uint64_t idle_ms = 10'000;
  bool stays = false;
  std::string farewell;
};

Script* script = nullptr;  // of the running test

class LineFace final : public api::Face {
 public:
  explicit LineFace(api::Wire& wire) : wire_(wire) {}

  Step step(std::string_view bytes, bool quiet, const api::Reply& reply, size_t* used) override {
    size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return Step::need_more;
    if (held_back_ && !quiet) return Step::wait;
    held_back_ = false;
    *used = end + 1;
    std::string line(bytes.substr(0, end));
    script->seen.push_back(line);
    return answer(line, reply);
  }
  bool in_request() const override { return false; }
  uint64_t idle_ms() const override { return script->idle_ms; }
  bool wants_to_stay() const override { return script->stays; }
  std::string_view farewell() const override { return script->farewell; }
  std::string save() const override { return held_back_ ? "held back" : ""; }
  bool restore(std::string_view record) override {
    held_back_ = !record.empty();
    return true;
  }

 private:
  Step answer(const std::string& line, const api::Reply& reply) {
    if (line == "silent") return Step::silent;
    if (line == "abort") {
      wire_.abort();
      return Step::silent;
    }
    if (line.starts_with("now ")) {
      reply(line.substr(4) + "\n");
    } else if (line.starts_with("push ")) {
      reply("ok\n");
      wire_.push(BufferRef::concat(line.substr(5), "\n"), Urgency::urgent);
    } else {
      held_back_ = line == "change";
      script->owed.push_back(reply);
    }
    return line == "last" ? Step::last : Step::taken;
  }

  api::Wire& wire_;
  bool held_back_ = false;
};

class ApiRow : public ::testing::Test {
 protected:
  ApiRow() { script = &script_; }
  ~ApiRow() override { script = nullptr; }

  test::Peer connect() {
    auto [near, far] = test::socket_pair();
    near_fd_ = near.get();
    auto made = std::make_unique<ApiConnection>(home_, std::move(near));
    ApiConnection& started = *made;
    room_.connections.add(std::move(made));
    started.start();
    return {std::move(far), nullptr};
  }
  bool seen(size_t requests) {
    return room_.turn_until([&] { return script_.seen.size() == requests; });
  }
  bool received(test::Peer& peer, std::string_view text) {
    return room_.turn_until([&] { return peer.received() == text; });
  }
  bool ended(test::Peer& peer) {
    return room_.turn_until([&] { return peer.at_end(); });
  }
  void wind_up(WindUp what) {
    room_.connections.for_each([what](Connection& c) { c.wind_up(what); });
    room_.turn();
  }
  void turn(int times) {
    for (int i = 0; i < times; ++i) room_.turn();
  }

  Script script_;
  test::Instance instance_;
  conf::Api api_;
  test::Room room_{instance_};
  ApiHome home_{room_.runtime,
                room_.connections,
                {&room_.config, &api_, &instance_.segment, 0, &room_.router, &room_.runtime.stats,
                 &room_.runtime.draining},
                [](const api::ApiContext&, api::Wire& wire) -> std::unique_ptr<api::Face> {
                  return std::make_unique<LineFace>(wire);
                }};
  int near_fd_ = -1;

  void TearDown() override { room_.connections.clear(); }  // before their home
};

TEST_F(ApiRow, HoldsBackWhatIsAnsweredTooEarly) {  // I1
  test::Peer peer = connect();
  peer.send("later\nnow b\nlater\nnow d\n");
  ASSERT_TRUE(seen(4));
  script_.owed[1]("c\n");
  turn(2);
  EXPECT_EQ(peer.received(), "");
  script_.owed[0]("a\n");
  EXPECT_TRUE(received(peer, "a\nb\nc\nd\n")) << peer.received();
}

TEST_F(ApiRow, AnswerGivenTwiceIsGivenOnce) {
  test::Peer peer = connect();
  peer.send("later\nlater\n");
  ASSERT_TRUE(seen(2));
  script_.owed[1]("b\n");
  script_.owed[1]("B\n");
  script_.owed[0]("a\n");
  script_.owed[0]("A\n");
  peer.send("now c\n");
  EXPECT_TRUE(received(peer, "a\nb\nc\n")) << peer.received();
}

TEST_F(ApiRow, RequestWithoutAnswerLeavesNoGap) {
  test::Peer peer = connect();
  peer.send("silent\nlater\nsilent\nnow b\nsilent\n");
  ASSERT_TRUE(seen(5));
  script_.owed[0]("a\n");
  EXPECT_TRUE(received(peer, "a\nb\n")) << peer.received();
}

TEST_F(ApiRow, ManySilentRequestsAreTakenSomeEachTurn) {
  test::Peer peer = connect();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "silent\n";
  peer.send(many + "now end\n");
  room_.turn();
  EXPECT_LE(script_.seen.size(), 64u);
  EXPECT_TRUE(received(peer, "end\n"));
  EXPECT_EQ(script_.seen.size(), 1001u);
}

TEST_F(ApiRow, WaitsUntilAllEarlierAnswersAreIn) {
  test::Peer peer = connect();
  peer.send("later\nchange\nnow c\n");
  ASSERT_TRUE(seen(2));
  script_.owed[1]("b\n");
  turn(3);
  EXPECT_EQ(script_.seen.size(), 2u);
  script_.owed[0]("a\n");
  EXPECT_TRUE(received(peer, "a\nb\nc\n")) << peer.received();
}

TEST_F(ApiRow, PushedBytesStandBehindWhatWasAnsweredBeforeThem) {  // I2
  test::Peer peer = connect();
  peer.send("later\npush x\nlater\npush y\nnow e\n");
  ASSERT_TRUE(seen(5));
  script_.owed[1]("c\n");
  script_.owed[0]("a\n");
  EXPECT_TRUE(received(peer, "a\nok\nx\nc\nok\ny\ne\n")) << peer.received();
}

TEST_F(ApiRow, PushedBytesDoNotWaitForAnswersStillOwed) {
  test::Peer peer = connect();
  peer.send("push x\nlater\n");
  EXPECT_TRUE(received(peer, "ok\nx\n")) << peer.received();
  EXPECT_EQ(script_.owed.size(), 1u);
}

TEST_F(ApiRow, EndsBehindTheLastAnswerAndReadsNothingFurther) {
  test::Peer peer = connect();
  peer.send("later\nlast\nnow x\n");
  ASSERT_TRUE(seen(2));
  script_.owed[1]("b\n");
  turn(2);
  EXPECT_FALSE(peer.at_end());
  script_.owed[0]("a\n");
  EXPECT_TRUE(ended(peer));
  EXPECT_EQ(peer.received(), "a\nb\n");
  EXPECT_EQ(script_.seen.size(), 2u);
}

TEST_F(ApiRow, AbortEndsItWithoutWhatIsQueued) {
  test::Peer peer = connect();
  peer.send("now a\nabort\nnow b\n");
  EXPECT_TRUE(ended(peer));
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(script_.seen.size(), 2u);
  EXPECT_TRUE(room_.turn_until([&] { return home_.connections.empty(); }));
}

TEST_F(ApiRow, ReplyToAnEarlierConnectionDoesNotReachALaterOne) {  // I3
  test::Peer first = connect();
  first.send("later\n");
  ASSERT_TRUE(seen(1));
  first.close();
  ASSERT_TRUE(room_.turn_until([&] {
    script_.owed[0]("lost\n");  // also ends the one that waits for its answer
    return home_.connections.empty();
  }));
  test::Peer second = connect();
  second.send("later\n");
  ASSERT_TRUE(seen(2));
  script_.owed[0]("lost\n");
  script_.owed[1]("b\n");
  EXPECT_TRUE(received(second, "b\n")) << second.received();
}

TEST_F(ApiRow, OneWithoutABoundOnIdlenessIsKeptAliveByTheKernel) {
  script_.idle_ms = 0;
  test::Peer peer = connect();
  int on = 0;
  socklen_t size = sizeof on;
  ASSERT_EQ(getsockopt(near_fd_, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
  EXPECT_EQ(on, 1);
  room_.pass(3'600'000);
  EXPECT_FALSE(peer.at_end());
  peer.send("hal");
  room_.turn();
  room_.pass(31'000);
  EXPECT_TRUE(ended(peer)) << "but half a request has 30 s";
}

TEST_F(ApiRow, IdleOneIsClosedButNotWhileAnAnswerIsOwed) {
  test::Peer peer = connect();
  peer.send("later\n");
  ASSERT_TRUE(seen(1));
  room_.pass(11'000);
  EXPECT_FALSE(peer.at_end());
  script_.owed[0]("a\n");
  EXPECT_TRUE(received(peer, "a\n"));
  room_.pass(9'000);
  EXPECT_FALSE(peer.at_end()) << "idleness begins with the answer";
  room_.pass(2'000);
  EXPECT_TRUE(ended(peer));
}

TEST_F(ApiRow, OneWhoOwesReadingOf4MiBIsReadNoFurtherAndClosedAfter30SecondsWithoutAny) {
  script_.idle_ms = 0;
  test::Peer peer = connect();
  peer.send("later\n");
  ASSERT_TRUE(seen(1));
  script_.owed[0](std::string(2 * ApiConnection::kMaxUnsent, 'x'));
  peer.send("now a\n");
  turn(5);
  EXPECT_EQ(script_.seen.size(), 1u);
  room_.pass(20'000);
  peer.received();  // takes some
  turn(2);
  room_.pass(20'000);
  EXPECT_EQ(room_.connections.size(), 1u);
  room_.pass(31'000);
  EXPECT_EQ(room_.connections.size(), 0u);
}

TEST_F(ApiRow, SubscriberStaysWhileTheWorkerHasClientsAndNotLonger) {
  script_.stays = true;
  script_.farewell = "bye\n";
  test::Peer peer = connect();
  room_.runtime.stats.sessions_online.set(1);
  wind_up(WindUp::unopened);
  peer.send("now a\n");
  EXPECT_TRUE(received(peer, "a\n"));
  room_.runtime.stats.sessions_online.set(0);
  wind_up(WindUp::unopened);
  EXPECT_TRUE(ended(peer));
  EXPECT_EQ(peer.received(), "a\nbye\n");
}

TEST_F(ApiRow, SubscriberGoesWhenAllHaveTo) {
  script_.stays = true;
  test::Peer peer = connect();
  room_.runtime.stats.sessions_online.set(1);
  wind_up(WindUp::all);
  EXPECT_TRUE(ended(peer));
}

TEST_F(ApiRow, BusyOneGoesWithItsLastAnswer) {
  test::Peer peer = connect();
  peer.send("later\nlater\n");
  ASSERT_TRUE(seen(2));
  wind_up(WindUp::unopened);
  script_.owed[0]("a\n");
  turn(2);
  EXPECT_FALSE(peer.at_end());
  script_.owed[1]("b\n");
  EXPECT_TRUE(ended(peer));
  EXPECT_EQ(peer.received(), "a\nb\n");
}

}  // namespace
}  // namespace holdfast
