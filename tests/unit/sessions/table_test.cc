#include "worker/sessions/table.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"

namespace holdfast {
namespace {

TEST(Sessions, ThoseThatExpireAtOneInstantAreEndedInSlices) {
  constexpr size_t kSessions = Sessions::kEndSlice + 40;
  test::Instance instance(64 * 1024, 1024);
  test::Room room(instance);
  std::vector<Session*> all;
  for (size_t i = 0; i < kSessions; ++i) all.push_back(&room.open_session());
  for (Session* session : all) room.sessions.set_expiry(*session, 100);
  room.sessions.set_expiry(*all[0], 200);
  all[1]->transport->close(4000, "out", EndReason::kicked);  // it is gone, and so is its time
  EXPECT_FALSE(room.sessions.end_expired(99));
  EXPECT_EQ(room.sessions.live(), kSessions - 1);
  EXPECT_TRUE(room.sessions.end_expired(100));
  EXPECT_EQ(room.sessions.live(), kSessions - 1 - Sessions::kEndSlice);
  EXPECT_FALSE(room.sessions.end_expired(100));
  EXPECT_EQ(room.sessions.live(), 1u);
  EXPECT_EQ(room.sessions.save(*all[0]).expires_wall_s, 200u);
  EXPECT_EQ(room.backend.endings.back(), EndReason::expired);
  EXPECT_FALSE(room.sessions.end_expired(200));
  EXPECT_EQ(room.sessions.live(), 0u);
}

}  // namespace
}  // namespace holdfast
