#include "master/backoff.h"

#include <gtest/gtest.h>

namespace holdfast::master {
namespace {

TEST(Backoff, LetsTheFirstCrashBeFollowedAtOnce) {
  EXPECT_EQ(Backoff().died(5), 0u);
}

TEST(Backoff, DoublesFrom100MillisecondsWhileProcessesKeepDyingYoung) {
  Backoff backoff;
  EXPECT_EQ(backoff.died(1'000), 0u);
  EXPECT_EQ(backoff.died(1'005), 100u);
  EXPECT_EQ(backoff.died(1'110), 200u);
  EXPECT_EQ(backoff.died(1'310 + 9'999), 400u);
}

TEST(Backoff, NeverWaitsLongerThanTenSeconds) {
  Backoff backoff;
  for (int i = 0; i < 100; ++i) backoff.died(0);
  EXPECT_EQ(backoff.died(0), 10'000u);
}

TEST(Backoff, BeginsAnewAfterTenSecondsOfService) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.died(0);
  EXPECT_EQ(backoff.died(800 + 10'000), 0u);
  EXPECT_EQ(backoff.died(800 + 10'005), 100u);
}

// A reload makes processes young, not the service.
TEST(Backoff, GoesOnInTheNextImageOfTheMaster) {
  Backoff former, next;
  for (int i = 0; i < 3; ++i) former.died(50);
  next.restore(former.next_ms(), former.calm_at_ms());
  EXPECT_EQ(next.died(60), former.died(60));
  EXPECT_EQ(next.died(20'000), 0u);
}

}  // namespace
}  // namespace holdfast::master
