#include "worker/net/timing_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

namespace holdfast {
namespace {

constexpr uint64_t kStart = 1'000'000;
constexpr uint64_t kRound = 1024 * TimingWheel::kTickMs;

struct Alarm final : Deadline {
  void on_deadline() override {
    ++fired;
    EXPECT_FALSE(armed());
    if (then) then();
  }
  int fired = 0;
  std::function<void()> then;
};

struct Wheel {
  // Every tick up to `ms`, as the worker does it.
  void run_to(uint64_t ms) {
    for (; now < ms; now += TimingWheel::kTickMs) wheel.advance(now);
    wheel.advance(now = ms);
  }
  uint64_t now = kStart;
  TimingWheel wheel{kStart};
};

TEST(TimingWheel, FiresAtTheFirstTickAtOrAfterNeverEarlier) {
  for (uint64_t delay : {1, 50, 99, 100, 101, 999, 1000, 12'345}) {
    Wheel w;
    Alarm alarm;
    w.wheel.arm(alarm, kStart + delay);
    w.run_to(kStart + delay - 1);
    EXPECT_EQ(alarm.fired, 0) << delay;
    w.run_to(kStart + delay + TimingWheel::kTickMs - 1);
    EXPECT_EQ(alarm.fired, 1) << delay;
    w.run_to(kStart + delay + 2 * kRound);
    EXPECT_EQ(alarm.fired, 1) << "once for each arming";
  }
}

TEST(TimingWheel, DeadlineInThePastFiresWithTheNextTick) {
  Wheel w;
  Alarm alarm;
  w.wheel.arm(alarm, 0);
  w.run_to(kStart);
  EXPECT_EQ(alarm.fired, 0);
  w.run_to(kStart + 100);
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimingWheel, LaterRoundsWaitForTheirTime) {
  Wheel w;
  Alarm first, second, third;
  w.wheel.arm(third, kStart + 500 + 2 * kRound);
  w.wheel.arm(second, kStart + 500 + kRound);
  w.wheel.arm(first, kStart + 500);
  w.run_to(kStart + 500);
  EXPECT_EQ(first.fired + second.fired + third.fired, 1);
  w.run_to(kStart + 499 + kRound);
  EXPECT_EQ(second.fired, 0);
  w.run_to(kStart + 500 + kRound);
  EXPECT_EQ(second.fired, 1);
  EXPECT_EQ(third.fired, 0);
  w.run_to(kStart + 500 + 2 * kRound);
  EXPECT_EQ(third.fired, 1);
}

TEST(TimingWheel, ArmingAgainReplacesTheEarlierArming) {
  Wheel w;
  Alarm alarm;
  w.wheel.arm(alarm, kStart + 200);
  w.wheel.arm(alarm, kStart + 700);
  w.run_to(kStart + 600);
  EXPECT_EQ(alarm.fired, 0);
  w.run_to(kStart + 2000);
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimingWheel, DisarmedAndDestroyedOnesDoNotFire) {
  Wheel w;
  Alarm disarmed;
  auto destroyed = std::make_unique<Alarm>();
  destroyed->then = [] { FAIL(); };
  w.wheel.arm(disarmed, kStart + 100);
  w.wheel.arm(*destroyed, kStart + 100);
  disarmed.disarm();
  disarmed.disarm();
  destroyed.reset();
  w.run_to(kStart + 1000);
  EXPECT_EQ(disarmed.fired, 0);
}

TEST(TimingWheel, CallbackMayArmItselfAgainAlsoInTheSameSlot) {
  Wheel w;
  Alarm soon, next_round;
  soon.then = [&] {
    if (soon.fired < 3) w.wheel.arm(soon, 0);  // the next tick
  };
  next_round.then = [&] {
    if (next_round.fired == 1) w.wheel.arm(next_round, kStart + 100 + kRound);
  };
  w.wheel.arm(soon, kStart + 100);
  w.wheel.arm(next_round, kStart + 100);
  w.run_to(kStart + 100);
  EXPECT_EQ(soon.fired, 1);
  w.run_to(kStart + 200);
  EXPECT_EQ(soon.fired, 2);
  w.run_to(kStart + 300);
  EXPECT_EQ(soon.fired, 3);
  EXPECT_EQ(next_round.fired, 1);
  w.run_to(kStart + 100 + kRound);
  EXPECT_EQ(next_round.fired, 2);
}

TEST(TimingWheel, CallbackMayDisarmMoveOrDestroyOthersDueInTheSameTick) {
  Wheel w;
  Alarm breaker, disarmed, moved;
  auto destroyed = std::make_unique<Alarm>();
  destroyed->then = [] { FAIL(); };
  breaker.then = [&] {
    disarmed.disarm();
    w.wheel.arm(moved, kStart + 500);
    destroyed.reset();
  };
  w.wheel.arm(breaker, kStart + 100);
  w.wheel.arm(disarmed, kStart + 100);
  w.wheel.arm(moved, kStart + 100);
  w.wheel.arm(*destroyed, kStart + 100);
  w.run_to(kStart + 100);
  EXPECT_EQ(breaker.fired, 1);
  EXPECT_EQ(disarmed.fired + moved.fired, 0);
  w.run_to(kStart + 500);
  EXPECT_EQ(disarmed.fired, 0);
  EXPECT_EQ(moved.fired, 1);
}

// The loop stood still for more than a round: everything due fires at once, nothing else does.
TEST(TimingWheel, AfterAStallAllThatIsDueFiresOnce) {
  Wheel w;
  std::vector<std::unique_ptr<Alarm>> due, later;
  for (uint64_t i = 0; i < 300; ++i) {
    w.wheel.arm(*due.emplace_back(std::make_unique<Alarm>()), kStart + i * 1000);
    w.wheel.arm(*later.emplace_back(std::make_unique<Alarm>()), kStart + 3 * kRound + 1 + i * 1000);
  }
  w.wheel.advance(kStart + 3 * kRound);
  for (auto& alarm : due) EXPECT_EQ(alarm->fired, 1);
  for (auto& alarm : later) EXPECT_EQ(alarm->fired, 0);
  w.now = kStart + 3 * kRound;
  w.run_to(kStart + 6 * kRound + 300'000);
  for (auto& alarm : later) EXPECT_EQ(alarm->fired, 1);
}

TEST(TimingWheel, WhatIsStillArmedMayOutliveIt) {
  Alarm alarm;
  {
    TimingWheel wheel(kStart);
    wheel.arm(alarm, kStart + 100);
  }
  EXPECT_FALSE(alarm.armed());
}

}  // namespace
}  // namespace holdfast
