// tests/unit/routing/router_fixture.h - two workers' routers on one segment, in one process: the test turns one or the other.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "tests/unit/room.h"
#include "worker/routing/push_router.h"

namespace holdfast {

class RouterTest : public ::testing::Test {
 protected:
  explicit RouterTest(conf::Config config = {})
      : here_(instance_, 0, config), there_(instance_, 1, config) {}

  // Executes at `here` and keeps the answer in result_.
  void execute(const Command& command) {
    result_.reset();
    here_.router.execute(command, [this](CommandResult&& given) {
      EXPECT_FALSE(result_) << "answered twice";  // I1
      result_ = std::move(given);
    });
  }
  bool both_turn_until(const std::function<bool()>& done) {
    return test::eventually([&] {
      here_.turn();
      there_.turn();
      return done();
    });
  }
  bool answered() {
    return both_turn_until([&] { return result_.has_value(); });
  }
  static Command publish(std::string channel, std::string data) {
    return {.op = Op::publish, .channels = {std::move(channel)}, .data = std::move(data)};
  }
  std::string lines_of(test::Room& room, size_t peer) { return room.others[peer].received(); }
  shm::StatsBlock& stats() { return here_.runtime.stats; }

  test::Instance instance_;
  test::Room here_, there_;
  std::optional<CommandResult> result_;
};

}  // namespace holdfast
