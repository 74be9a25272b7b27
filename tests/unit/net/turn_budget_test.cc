#include "worker/net/turn_budget.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(TurnBudget, AShareIsBoundedByTheTurnAndNeverNothing) {
  TurnBudget budget;
  budget.begin_turn(1);
  budget.begin_share();
  budget.spend(TurnBudget::kShare - 1);
  EXPECT_FALSE(budget.share_spent());
  budget.spend(1);
  EXPECT_TRUE(budget.share_spent());
  EXPECT_FALSE(budget.turn_spent());
  budget.spend(TurnBudget::kTurn - TurnBudget::kShare - 10);
  budget.begin_share();
  budget.spend(10);
  EXPECT_TRUE(budget.share_spent()) << "the turn has left no more";
  EXPECT_TRUE(budget.turn_spent());
  budget.begin_share();
  EXPECT_FALSE(budget.share_spent()) << "whoever begins gets one message on";
  budget.spend(1);
  EXPECT_TRUE(budget.share_spent());
}

TEST(TurnBudget, KeepsAQuarterForThoseWhoAreReady) {
  TurnBudget budget;
  budget.begin_turn(1);
  budget.spend(100'000);
  EXPECT_TRUE(budget.turn_spent());
  budget.begin_events();
  EXPECT_EQ(budget.left(), TurnBudget::kTurn / 4);
  budget.begin_turn(2);
  budget.begin_events();
  EXPECT_EQ(budget.left(), TurnBudget::kTurn);
}

TEST(TurnBudget, TheHeartbeatBeatsWithTheWork) {
  std::atomic<uint64_t> word{0};
  TurnBudget budget;
  budget.begin_turn(5);
  EXPECT_EQ(word.load(), 0u) << "not its own yet";
  budget.beats_in(word);
  budget.begin_turn(7);
  EXPECT_EQ(word.load(), 7u);
  budget.spend(1'000);
  EXPECT_EQ(word.load(), 7u);
  budget.spend(24);
  EXPECT_GT(word.load(), 7u);
  word = 0;
  for (int i = 0; i < 100; ++i) budget.spend(1'000);
  EXPECT_GT(word.load(), 0u) << "also where a turn has long spent what it had";
  word = 0;
  budget.beat();
  EXPECT_GT(word.load(), 0u);
}

}  // namespace
}  // namespace holdfast
