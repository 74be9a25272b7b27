// Queue, starvation, and what callers may do in their callbacks.
#include "tests/unit/backends/fcgi/pool_fixture.h"

namespace holdfast::fcgi {
namespace {

using Kind = FakeServer::Kind;

class FcgiPoolQueue : public PoolTest {
 protected:
  FakeServer& server_ = add_server(Kind::unix);
};

TEST_F(FcgiPoolQueue, RequestsBeyondTheShareWaitInOrder) {
  start(1);
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) ASSERT_TRUE(submit(ticket));
  EXPECT_EQ(pool_->in_flight(), 1u);
  EXPECT_EQ(pool_->queued(), 4u);
  EXPECT_EQ(stats_->backend_queued.get(), 4u);
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) {
    FakeConnection connection = server_.accept();
    serve(connection, ticket);
  }
  EXPECT_EQ(inbox_.order, (std::vector<uint64_t>{1, 2, 3, 4, 5}));
  expect_quiet();
}

TEST_F(FcgiPoolQueue, FullQueueRefusesAndTakesNothing) {
  start(1, 2);
  EXPECT_TRUE(submit(1));
  EXPECT_TRUE(submit(2));
  EXPECT_TRUE(submit(3));
  EXPECT_FALSE(submit(4));
  EXPECT_EQ(stats_->backend_overloaded.get(), 1u);
  EXPECT_EQ(pool_->queued(), 2u);
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) {
    FakeConnection connection = server_.accept();
    serve(connection, ticket);
  }
  EXPECT_EQ(inbox_.answers.size(), 3u);
  EXPECT_TRUE(submit(5));
}

TEST_F(FcgiPoolQueue, NoQueueAtAllRefusesTheSecond) {
  start(1, 0);
  EXPECT_TRUE(submit(1));
  EXPECT_FALSE(submit(2));
}

TEST_F(FcgiPoolQueue, WaitOfReadTimeoutInTheQueueEndsAsOverloaded) {
  backend_.read_timeout_ms = 10'000;
  start(1);
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  pass(6'000);
  submit(2);
  connection.write(stderr_record("alive\n"));
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_stderr_lines.get() == 1; }));
  pass(6'000);
  submit(3);
  connection.write(stderr_record("alive\n"));
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_stderr_lines.get() == 2; }));
  EXPECT_TRUE(inbox_.answers.empty());
  pass(4'000);
  EXPECT_EQ(answer_to(2).outcome, Outcome::overloaded);
  EXPECT_FALSE(answer_to(2).may_have_run);
  EXPECT_EQ(inbox_.answers.count(3), 0u);
  EXPECT_EQ(stats_->backend_overloaded.get(), 1u);
  connection.write(answer("at last"));
  EXPECT_EQ(answer_to(1).outcome, Outcome::answered);
  FakeConnection next = server_.accept();
  serve(next, 3);
  expect_quiet();
}

TEST_F(FcgiPoolQueue, RequestWithoutCallerIsServed) {
  start(1);
  Request request{.session = "s"};
  EXPECT_TRUE(pool_->submit(std::move(request)));
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(answer("x"));
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_answers.get() == 1; }));
  expect_quiet();
}

TEST_F(FcgiPoolQueue, CallbackMaySubmitTheNextRequest) {
  start(1);
  inbox_.then = [&](uint64_t ticket) {
    if (ticket == 5) return;
    EXPECT_TRUE(submit(ticket + 1));
  };
  submit(1);
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) {
    FakeConnection connection = server_.accept();
    serve(connection, ticket);
  }
  expect_quiet();
}

// One who asks again at once while the server is down must not keep the loop in its callback.
TEST_F(FcgiPoolQueue, CallbackThatTriesAgainForeverDoesNotHoldTheLoop) {
  start(1);
  server_.stop();
  uint64_t next = 2;
  inbox_.then = [&](uint64_t) { submit(next++); };
  submit(1);
  pass(backend_.connect_timeout_ms);
  pass(100);
  pass(100);
  EXPECT_GE(inbox_.answers.size(), 2u);
  EXPECT_LE(inbox_.answers.size(), 6u);
  inbox_.then = nullptr;
}

TEST_F(FcgiPoolQueue, WholeQueueIsAnsweredWhenTheServerIsGone) {
  start(2, 10'000);
  server_.stop();
  for (uint64_t ticket = 1; ticket <= 5'000; ++ticket) ASSERT_TRUE(submit(ticket));
  pass(backend_.connect_timeout_ms);
  ASSERT_TRUE(turn_until(loop_, [&] { return pass(0), inbox_.answers.size() == 5'000; }));
  for (const auto& [ticket, got] : inbox_.answers)
    EXPECT_EQ(got.outcome, Outcome::no_server) << ticket;
  EXPECT_EQ(stats_->backend_failed.get(), 5'000u);
  expect_quiet();
}

// --- starvation: children are pinned by kept connections while new ones wait in the backlog ---

// A server of `children` processes, each of which serves one connection at a time until it is
// closed.
TEST_F(FcgiPoolQueue, RequestInTheBacklogMakesAnswersEndTheirConnections) {
  start(4);
  submit(1);
  FakeConnection child = server_.accept();
  submit(2);  // no child accepts it
  pass(Pool::kTurnMs);
  child.read_request();
  child.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_TRUE(child.ended()) << "the child is free";
  FakeConnection next = server_.accept();
  serve(next, 2);
}

// Scripts that are slow, but run: nobody waits, so connections are kept.
TEST_F(FcgiPoolQueue, AcceptedRequestThatTakesLongDoesNotEndConnections) {
  start(4);
  submit(1);
  submit(2);
  FakeConnection fast = server_.accept();
  FakeConnection slow = server_.accept();
  slow.read_request();
  serve(fast, 1);
  pass(500);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
  submit(3);
  serve(fast, 3);
  EXPECT_EQ(stats_->backend_connects.get(), 2u);
}

TEST_F(FcgiPoolQueue, ScriptThatLeavesTheLastRecordUnreadIsSeenToRun) {
  start(4);
  submit(1, std::string(5'000, 'b'));
  FakeConnection child = server_.accept();
  pass(50);
  EXPECT_EQ(stats_->backend_waiting.get(), 1u) << "accepted, but nothing read";
  std::string params;
  append_param(params, "TICKET", "1");
  size_t all = encode_request(params, std::string(5'000, 'b'), true).size();
  child.read_bytes(all - kTerminatorBytes);
  pass(50);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
  child.read_bytes(kTerminatorBytes);
  child.write(answer("x"));
  EXPECT_EQ(answer_to(1).body, "x");
}

TEST_F(FcgiPoolQueue, IdleConnectionsMakeRoomForARequestInTheBacklog) {
  start(4);
  submit(1);
  submit(2);
  FakeConnection first = server_.accept();
  FakeConnection second = server_.accept();
  serve(first, 1);
  submit(3);  // on a new connection, for `first` rests: it is closed
  EXPECT_TRUE(first.ended());
  pass(Pool::kTurnMs);
  second.read_request();
  second.write(answer("2"));
  EXPECT_EQ(answer_to(2).body, "2");
  EXPECT_TRUE(second.ended()) << "3 waits in the backlog";
  FakeConnection third = server_.accept();
  serve(third, 3);
}

TEST_F(FcgiPoolQueue, WaitingIsShownToOtherWorkersUntilSomebodyReads) {
  start(4);
  submit(1);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u) << "a moment in the backlog is nothing";
  pass(100);
  EXPECT_EQ(stats_->backend_waiting.get(), 1u);
  FakeConnection child = server_.accept();
  serve(child, 1);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
}

class FcgiPoolTcpQueue : public PoolTest {
 protected:
  FakeServer& server_ = add_server(Kind::tcp);
};

TEST_F(FcgiPoolTcpQueue, SlowFirstAnswerCountsAsWaitingAfterTheWhile) {
  start(4);
  submit(1);
  FakeConnection slow = server_.accept();
  slow.read_request();
  submit(2);
  FakeConnection fast = server_.accept();
  pass(100);
  EXPECT_EQ(stats_->backend_waiting.get(), 2u);
  serve(fast, 2);
  EXPECT_TRUE(fast.ended()) << "1 may wait in the backlog, for all that can be seen";
  slow.write(answer("1"));
  EXPECT_EQ(answer_to(1).body, "1");
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
}

TEST_F(FcgiPoolTcpQueue, RequestOnAConnectionThatHasAnsweredBeforeDoesNotWait) {
  start(4);
  FakeConnection proven = idle_connection(server_);
  submit(1);
  proven.read_request();
  pass(500);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
  proven.write(answer("1"));
  EXPECT_EQ(answer_to(1).body, "1");
}

}  // namespace
}  // namespace holdfast::fcgi
