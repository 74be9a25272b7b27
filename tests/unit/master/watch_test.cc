#include "master/watch.h"

#include <gtest/gtest.h>

namespace holdfast::master {
namespace {

constexpr uint64_t kHang = 10'000;

TEST(HeartbeatVerdict, IsFineUpToTheTimeout) {
  EXPECT_EQ(judge_heartbeat(50'000, 50'000, kHang, 0), Verdict::fine);
  EXPECT_EQ(judge_heartbeat(60'000, 50'000, kHang, 0), Verdict::fine);
}

TEST(HeartbeatVerdict, AbortsAfterIt) {
  EXPECT_EQ(judge_heartbeat(60'001, 50'000, kHang, 0), Verdict::abort);
}

// The worker may store a time a little later than the one the master read before.
TEST(HeartbeatVerdict, IsFineWithAHeartbeatFromTheFuture) {
  EXPECT_EQ(judge_heartbeat(50'000, 50'003, kHang, 0), Verdict::fine);
}

TEST(HeartbeatVerdict, KillsOnlyTwoSecondsAfterTheAbort) {
  EXPECT_EQ(judge_heartbeat(61'000, 50'000, kHang, 60'001), Verdict::wait);
  EXPECT_EQ(judge_heartbeat(62'000, 50'000, kHang, 60'001), Verdict::wait);
  EXPECT_EQ(judge_heartbeat(62'001, 50'000, kHang, 60'001), Verdict::kill);
}

}  // namespace
}  // namespace holdfast::master
