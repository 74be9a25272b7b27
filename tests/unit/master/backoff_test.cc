#include "master/backoff.h"

#include <gtest/gtest.h>

namespace holdfast::master {
namespace {

TEST(Backoff, LetsTheFirstCrashBeFollowedAtOnce) {
  EXPECT_EQ(Backoff().died(5), 0u);
}

TEST(Backoff, DoublesFrom100MillisecondsWhileProcessesKeepDyingYoung) {
  Backoff backoff;
  backoff.died(5);
  EXPECT_EQ(backoff.died(5), 100u);
  EXPECT_EQ(backoff.died(5), 200u);
  EXPECT_EQ(backoff.died(9'999), 400u);
}

TEST(Backoff, NeverWaitsLongerThanTenSeconds) {
  Backoff backoff;
  for (int i = 0; i < 100; ++i) backoff.died(0);
  EXPECT_EQ(backoff.died(0), 10'000u);
}

TEST(Backoff, BeginsAnewAfterALongLife) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.died(0);
  EXPECT_EQ(backoff.died(10'000), 0u);
  EXPECT_EQ(backoff.died(5), 100u);
}

}  // namespace
}  // namespace holdfast::master
