#include "base/process_clock.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(ProcessClock, IsTheMonotonicOneWhileTheProcessRuns) {
  ProcessClock clock;
  for (uint64_t now = 5'000'000; now < 5'100'000; now += ProcessClock::kGapMs)
    EXPECT_EQ(clock.look(now), now);
  EXPECT_EQ(clock.gaps(), 0u);
  EXPECT_EQ(clock.stood_still_ms(), 0u);
}

TEST(ProcessClock, AGapTakesNoTime) {
  ProcessClock clock;
  clock.look(1'000'000);
  EXPECT_EQ(clock.look(1'000'100), 1'000'100u);
  EXPECT_EQ(clock.look(1'035'100), 1'000'100u);
  EXPECT_EQ(clock.look(1'035'200), 1'000'200u);
  EXPECT_EQ(clock.look(1'095'200), 1'000'200u);
  EXPECT_EQ(clock.gaps(), 2u);
  EXPECT_EQ(clock.stood_still_ms(), 95'000u);
}

TEST(ProcessClock, GoesOnWithThatOfAPredecessor) {
  ProcessClock clock;
  clock.look(1'000'000);
  clock.continue_from(35'000);
  EXPECT_EQ(clock.look(1'000'100), 965'100u);
}

}  // namespace
}  // namespace holdfast
