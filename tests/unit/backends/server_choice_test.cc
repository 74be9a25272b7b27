// Weights and back-off.
#include "worker/backends/server_choice.h"

#include <gtest/gtest.h>

namespace holdfast::fcgi {
namespace {

std::vector<conf::BackendServer> servers_of(std::vector<unsigned> weights) {
  std::vector<conf::BackendServer> servers;
  for (unsigned weight : weights) servers.push_back({.weight = weight});
  return servers;
}

TEST(ServerChoice, RequestsInFlightFollowTheWeights) {
  ServerChoice choice(servers_of({5, 3, 2}));
  unsigned count[3] = {};
  for (int n = 0; n < 100; ++n) {
    size_t server = choice.best(0);
    choice.taken(server);
    ++count[server];
  }
  EXPECT_NEAR(count[0], 50, 1);
  EXPECT_NEAR(count[1], 30, 1);
  EXPECT_NEAR(count[2], 20, 1);
}

TEST(ServerChoice, BusyServerGetsNoMoreUntilItAnswers) {
  ServerChoice choice(servers_of({1, 1}));
  size_t first = choice.best(0);
  choice.taken(first);
  size_t second = choice.best(0);
  EXPECT_NE(second, first);
  choice.taken(second);
  choice.released(first);
  EXPECT_EQ(choice.best(0), first);
  EXPECT_EQ(choice.best(0), first);
}

TEST(ServerChoice, EqualServersTakeTurns) {
  ServerChoice choice(servers_of({1, 1, 1}));
  unsigned count[3] = {};
  for (int n = 0; n < 30; ++n) ++count[choice.best(0)];
  for (unsigned n : count) EXPECT_EQ(n, 10u);
}

TEST(ServerChoice, FailedServerIsLeftOutForADoublingBackoff) {
  ServerChoice choice(servers_of({1, 1}));
  uint64_t now = 1'000;
  for (uint64_t backoff : {100, 200, 400, 800, 1'600, 3'200, 5'000, 5'000}) {
    choice.failed(0, now);
    EXPECT_EQ(choice.best_ready(now + backoff - 1), 1u);
    choice.taken(1);
    EXPECT_EQ(choice.best_ready(now + backoff), 0u) << backoff;
    choice.released(1);
    now += backoff;
  }
}

TEST(ServerChoice, FailuresWithinOneBackoffAreOne) {  // I1
  ServerChoice choice(servers_of({1, 1}));
  for (int n = 0; n < 50; ++n) choice.failed(0, 1'000);
  choice.taken(1);
  EXPECT_EQ(choice.best_ready(1'100), 0u);
}

TEST(ServerChoice, AcceptedServerHasNoBackoff) {  // I2
  ServerChoice choice(servers_of({1}));
  choice.failed(0, 1'000);
  EXPECT_FALSE(choice.best_ready(1'001));
  EXPECT_TRUE(choice.down_for(0, 2'000, 1'000));
  choice.accepted(0);
  EXPECT_EQ(choice.best_ready(1'001), 0u);
  EXPECT_FALSE(choice.down_for(0, 9'000, 1'000));
}

TEST(ServerChoice, AllLeftOutMeansTheSoonest) {
  ServerChoice choice(servers_of({1, 1, 1}));
  choice.failed(0, 1'030);
  choice.failed(1, 1'010);
  choice.failed(2, 1'020);
  EXPECT_EQ(choice.best(1'050), 1u);
}

TEST(ServerChoice, AvoidedServerIsTheLastResort) {
  ServerChoice choice(servers_of({1, 1}));
  EXPECT_EQ(choice.best(1'000, 0u), 1u);
  EXPECT_EQ(choice.best(1'000, 1u), 0u);
  choice.failed(1, 1'000);
  EXPECT_FALSE(choice.best_ready(1'000, 0u));
  EXPECT_EQ(choice.best(1'000, 0u), 0u);
}

TEST(ServerChoice, DownCountsFromTheFirstFailure) {
  ServerChoice choice(servers_of({1}));
  EXPECT_FALSE(choice.down_for(0, 5'000, 1'000));
  choice.failed(0, 5'000);
  choice.failed(0, 5'900);
  EXPECT_FALSE(choice.down_for(0, 5'999, 1'000));
  EXPECT_TRUE(choice.down_for(0, 6'000, 1'000));
}

}  // namespace
}  // namespace holdfast::fcgi
