// Members that come back with a position, and gaps: every order of what can happen.
#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "tests/unit/routing/router_fixture.h"

namespace holdfast {
namespace {

conf::Config kept(unsigned size) {
  conf::Config config;
  config.channels.push_back({.pattern = "k*", .history_size = size, .history_ttl_ms = 0});
  return config;
}

// A subscriber that writes down what it gets.
class Follower final : public Subscriber {
 public:
  explicit Follower(test::Room& room) : room_(room) {}
  ~Follower() { room_.hub.leave_all(*this); }
  void join(const std::string& channel, const Position& since) {
    room_.hub.join(*this, channel);
    room_.router.recovery().begin(*this, channel, since);
    since_ = since;
  }
  // What is wrong with what it got, up to the stream's last message; "" if nothing.
  std::string verdict(const Position& top) const {
    if (!told) return "it was not told";
    if (told->at.epoch != top.epoch) return "it was told of another epoch";
    uint64_t next = told->recovered && told->asked ? since_.offset + 1 : told->at.offset + 1;
    if (told->recovered && told->asked && since_.epoch != top.epoch)
      return "recovered from another life";
    for (const Position& at : got) {
      if (at.epoch != top.epoch) return "a message of another epoch";
      if (at.offset != next++) return "a hole, or one twice";
    }
    return next == top.offset + 1 ? "" : "the last messages are missing";
  }
  std::optional<CaughtUp> told;
  std::vector<Position> got;
  bool missed = false;

 private:
  bool published(std::string_view, Payload& payload, Urgency) override {
    EXPECT_TRUE(told) << "before it was told";
    // All followers see the same message at the same place.
    static std::map<std::pair<uint64_t, uint64_t>, std::string> seen;
    const Position& at = payload.at();
    auto [place, fresh] = seen.try_emplace({at.epoch, at.offset}, payload.data());
    EXPECT_EQ(place->second, payload.data());
    got.push_back(at);
    return true;
  }
  void caught_up(const CaughtUp& answer) override {
    if (told)
      missed = true;
    else
      told = answer;
  }
  test::Room& room_;
  Position since_;
};

class RecoveryTest : public RouterTest {
 protected:
  explicit RecoveryTest(unsigned size = 4) : RouterTest(kept(size)) {}

  void publish_at(test::Room& room, const std::string& channel) {
    room.router.execute(publish(channel, std::to_string(++count_)), [this](CommandResult&& result) {
      for (const Placed& placed : result.positions)
        if (placed.at.offset > top_.offset) top_ = placed.at;
    });
  }
  void publish_now(const std::string& channel) {
    publish_at(here_, channel);
    settle();
  }
  void settle() {
    for (int i = 0; i < 6; ++i) here_.turn(), there_.turn();
  }
  void move_home(uint16_t to) { (to == 0 ? there_ : here_).router.streams().give_away(to); }

  uint64_t count_ = 0;
  Position top_;
};

TEST_F(RecoveryTest, GivesWhatWasMissedAndThenWhatComes) {
  for (int i = 0; i < 4; ++i) publish_now("k");
  for (test::Room* room : {&here_, &there_}) {
    Follower follower(*room);
    follower.join("k", {top_.epoch, top_.offset - 2});
    publish_now("k");
    ASSERT_TRUE(follower.told);
    EXPECT_TRUE(follower.told->recovered);
    EXPECT_EQ(follower.verdict(top_), "");
  }
  EXPECT_EQ(stats().streams_recovered.get() + there_.runtime.stats.streams_recovered.get(), 2u);
}

TEST_F(RecoveryTest, SaysSoIfSomethingIsGone) {
  for (int i = 0; i < 8; ++i) publish_now("k");
  for (Position since :
       {Position{top_.epoch, 3}, Position{top_.epoch, 9}, Position{top_.epoch + 1, 8}}) {
    Follower follower(there_);
    follower.join("k", since);
    settle();
    ASSERT_TRUE(follower.told);
    EXPECT_TRUE(follower.told->asked);
    EXPECT_FALSE(follower.told->recovered);
    EXPECT_EQ(follower.told->at, top_);
    EXPECT_TRUE(follower.got.empty());
  }
  EXPECT_EQ(there_.runtime.stats.streams_unrecovered.get(), 3u);
}

TEST_F(RecoveryTest, ThePositionIsToldToThoseWithoutOne) {
  publish_now("k");
  Follower follower(there_);
  follower.join("k", {});
  publish_now("k");
  ASSERT_TRUE(follower.told);
  EXPECT_FALSE(follower.told->asked);
  EXPECT_EQ(follower.verdict(top_), "");
}

TEST_F(RecoveryTest, AStreamBeginsWithTheFirstWhoAsks) {
  Follower follower(there_);
  follower.join("k", {});
  settle();
  ASSERT_TRUE(follower.told);
  EXPECT_TRUE(follower.told->at.known());
  EXPECT_EQ(follower.told->at.offset, 0u);
  Position since = follower.told->at;
  publish_now("k");
  Follower other(here_);
  other.join("k", since);
  settle();
  EXPECT_TRUE(other.told && other.told->recovered);
  EXPECT_EQ(other.verdict(top_), "");
}

TEST_F(RecoveryTest, ChannelsWithoutAStreamAreToldSo) {
  Follower follower(here_);
  follower.join("other", {5, 5});
  settle();
  ASSERT_TRUE(follower.told);
  EXPECT_TRUE(follower.told->asked);
  EXPECT_FALSE(follower.told->recovered);
  EXPECT_FALSE(follower.told->at.known());
}

TEST_F(RecoveryTest, AGapIsFilledForAllMembers) {
  std::deque<Follower> followers;
  for (int i = 0; i < 3; ++i) followers.emplace_back(there_).join("k", {});
  publish_now("k");
  // The part for the other worker is lost: its ring is full.
  instance_.set_state(1, shm::SlotState::dead);
  publish_at(here_, "k");
  instance_.set_state(1, shm::SlotState::serving);
  publish_now("k");
  for (const Follower& follower : followers) EXPECT_EQ(follower.verdict(top_), "");
  EXPECT_EQ(there_.runtime.stats.streams_gaps.get(), 1u);
}

TEST_F(RecoveryTest, AWorkerThatIsBehindIsToldWithoutAnotherMessage) {
  Follower follower(there_);
  follower.join("k", {});
  publish_now("k");
  // Larger than what its mailbox and the overflow hold.
  there_.runtime.now_ms = 0;
  instance_.set_state(1, shm::SlotState::dead);
  publish_at(here_, "k");
  instance_.set_state(1, shm::SlotState::serving);
  here_.pass(100);
  settle();
  EXPECT_EQ(follower.verdict(top_), "");
}

TEST_F(RecoveryTest, AGapThatCannotBeFilledIsTold) {
  Follower follower(there_);
  follower.join("k", {});
  publish_now("k");
  instance_.set_state(1, shm::SlotState::dead);
  for (int i = 0; i < 9; ++i) publish_at(here_, "k");
  instance_.set_state(1, shm::SlotState::serving);
  publish_now("k");
  EXPECT_TRUE(follower.missed);
  EXPECT_EQ(there_.runtime.stats.streams_gaps_unfilled.get(), 1u);
}

// A crash between keeping a message and handing it on: its successor says so.
TEST_F(RecoveryTest, TheNextHomeTellsOfTheLastMessages) {
  Follower follower(there_);
  follower.join("k", {});
  publish_now("k");
  instance_.set_state(1, shm::SlotState::dead);
  publish_at(here_, "k");
  instance_.set_state(1, shm::SlotState::serving);
  test::Room next(instance_, 0, kept(4));
  next.router.begin_serving();
  for (int i = 0; i < 6; ++i) {
    next.pass(100);
    there_.turn();
  }
  EXPECT_EQ(follower.verdict(top_), "");
}

TEST_F(RecoveryTest, SlicesDoNotMixWhatWasMissedAndWhatComes) {
  here_.router.carrier().slice(3);
  there_.router.carrier().slice(3);
  std::deque<Follower> followers;
  for (int i = 0; i < 4; ++i) publish_now("k");
  Position since{top_.epoch, top_.offset - 3};
  for (int i = 0; i < 20; ++i) {
    followers.emplace_back(i % 2 == 0 ? here_ : there_).join("k", since);
    if (i % 5 == 4) publish_at(here_, "k");
  }
  ASSERT_TRUE(both_turn_until([&] {
    return here_.router.carrier().idle() && there_.router.carrier().idle() &&
           std::all_of(followers.begin(), followers.end(),
                       [](const Follower& f) { return f.told.has_value(); });
  }));
  settle();
  for (const Follower& follower : followers)
    if (follower.told->recovered) {
      EXPECT_EQ(follower.verdict(top_), "");
    }
}

class LongRecoveryTest : public RecoveryTest {
 protected:
  LongRecoveryTest() : RecoveryTest(16) {}
};

// Every order of publishes at both workers, their turns, a join with a position, emptying, and a move of the home.
TEST_F(LongRecoveryTest, HoldsInEveryOrder) {
  constexpr size_t kActions = 7, kLength = 6;
  size_t orders = 1;
  for (size_t i = 0; i < kLength; ++i) orders *= kActions;
  for (size_t order = 0; order < orders; ++order) {
    std::string channel = "k" + std::to_string(order % 20);  // moves cost time for each channel
    count_ = 0;
    top_ = {};
    Follower near(here_), far(there_);
    near.join(channel, {});
    far.join(channel, {});
    publish_now(channel);
    std::optional<Follower> late;
    Position since = top_;
    size_t rest = order;
    bool emptied = false;
    for (size_t i = 0; i < kLength; ++i, rest /= kActions) {
      switch (rest % kActions) {
        case 0:
          publish_at(here_, channel);
          break;
        case 1:
          publish_at(there_, channel);
          break;
        case 2:
          here_.turn();
          break;
        case 3:
          there_.turn();
          break;
        case 4:
          if (!late) late.emplace(there_).join(channel, since);
          break;
        case 5: {
          Command empty{.op = Op::empty};
          empty.channels = {channel};
          here_.router.execute(empty, nullptr);
          emptied = true;
          break;
        }
        case 6:
          move_home(order % 2 == 0 ? 1 : 0);
          break;
        default:
          break;
      }
    }
    settle();
    publish_now(channel);
    for (Follower* follower : {&near, &far, late ? &*late : nullptr}) {
      if (follower == nullptr || (emptied && follower->missed)) continue;
      ASSERT_EQ(follower->verdict(top_), "") << "order " << order
                                             << (follower == &near  ? " near"
                                                 : follower == &far ? " far"
                                                                    : " late");
    }
    if (late && !emptied) {
      ASSERT_TRUE(late->told->recovered) << "order " << order;
    }
  }
}

}  // namespace
}  // namespace holdfast
