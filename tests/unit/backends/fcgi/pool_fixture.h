// tests/unit/backends/fcgi/pool_fixture.h - a pool, its fake servers and its callers, all in the test's
// thread.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/unit/backends/fcgi/fake_server.h"
#include "wire/fcgi/records.h"
#include "worker/backends/fcgi/pool.h"

namespace holdfast::fcgi {

// Collects answers; fails the test if one request has two.
class Inbox : public Caller {
 public:
  void on_answer(uint64_t ticket, Answer&& answer) override {
    EXPECT_TRUE(answers.emplace(ticket, std::move(answer)).second) << "second answer to " << ticket;
    order.push_back(ticket);
    if (then) then(ticket);
  }
  std::map<uint64_t, Answer> answers;
  std::vector<uint64_t> order;
  std::function<void(uint64_t)> then;
};

class PoolTest : public ::testing::Test {
 protected:
  // Before the first use of the pool.
  FakeServer& add_server(FakeServer::Kind kind, unsigned weight = 1, int backlog = 64) {
    servers_.push_back(std::make_unique<FakeServer>(loop_, kind, backlog));
    backend_.servers.push_back({.address = servers_.back()->address(), .weight = weight});
    return *servers_.back();
  }
  Pool& start(unsigned connections = 4, unsigned queue = 100) {
    backend_.name = "app";
    pool_ = std::make_unique<Pool>(loop_, backend_, Pool::Share{connections, queue}, *stats_,
                                   [this] { return others_waiting_; });
    pool_->tick(clock_ms_);
    return *pool_;
  }
  bool submit(uint64_t ticket, std::string body = {}, Caller* caller = nullptr) {
    Request request{.body = std::move(body),
                    .session = "0123",
                    .caller = caller != nullptr ? caller : &inbox_,
                    .ticket = ticket};
    append_param(request.params, "TICKET", std::to_string(ticket));
    return pool_->submit(std::move(request));
  }
  // The answer to `ticket`; waits for it.
  const Answer& answer_to(uint64_t ticket) {
    static const Answer none{.outcome = Outcome::lost, .status = -1};
    bool came = turn_until(loop_, [&] { return inbox_.answers.count(ticket) > 0; });
    EXPECT_TRUE(came) << "no answer to " << ticket;
    return came ? inbox_.answers[ticket] : none;
  }
  // Lets `ms` pass for the pool.
  void pass(uint64_t ms) {
    clock_ms_ += ms;
    pool_->tick(clock_ms_);
  }
  // One request, from submit() to its answer, on `connection`.
  void serve(FakeConnection& connection, uint64_t ticket) {
    EXPECT_EQ(connection.read_request().params["TICKET"], std::to_string(ticket));
    connection.write(answer("for " + std::to_string(ticket)));
    EXPECT_EQ(answer_to(ticket).body, "for " + std::to_string(ticket));
  }
  // Makes one idle connection that may be used.
  FakeConnection idle_connection(FakeServer& server, uint64_t ticket = 1'000'000) {
    submit(ticket);
    FakeConnection connection = server.accept();
    serve(connection, ticket);
    pass(Pool::kRestMs);
    return connection;
  }
  // Everything counted, and nothing left.
  void expect_quiet() {
    EXPECT_EQ(pool_->in_flight(), 0u);
    EXPECT_EQ(pool_->queued(), 0u);
    EXPECT_EQ(stats_->backend_queued.get(), 0u);
    EXPECT_EQ(stats_->backend_waiting.get(), 0u);
  }

  Loop loop_;
  conf::Backend backend_;
  std::unique_ptr<shm::StatsBlock> stats_ = std::make_unique<shm::StatsBlock>();
  std::vector<std::unique_ptr<FakeServer>> servers_;
  bool others_waiting_ = false;
  Inbox inbox_;
  std::unique_ptr<Pool> pool_;
  // Ahead of the real clock, so that the pool's stands still between two pass().
  uint64_t clock_ms_ = monotonic_ms() + 3'600'000;
};

}  // namespace holdfast::fcgi
