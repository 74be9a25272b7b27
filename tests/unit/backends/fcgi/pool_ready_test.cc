// When a kept connection takes its next request: on unix sockets as soon as its process is seen to wait for one, on TCP
// after a rest. The processes here read like php-fpm's children: the last record of a request stays unread until they
// look for the next.
#include <string>

#include "tests/unit/backends/fcgi/pool_fixture.h"

namespace holdfast::fcgi {
namespace {

using Kind = FakeServer::Kind;

class FcgiPoolReady : public PoolTest {
 protected:
  // Serves `ticket` and leaves the terminator unread.
  void serve_lazily(FakeConnection& child, uint64_t ticket) {
    read_lazily(child, ticket);
    reply(child, ticket);
  }
  void read_lazily(FakeConnection& child, uint64_t ticket) {
    std::string params;
    append_param(params, "TICKET", std::to_string(ticket));
    child.read_bytes(encode_request(params, {}, true).size() - kTerminatorBytes);
  }
  void reply(FakeConnection& child, uint64_t ticket) {
    child.write(answer("for " + std::to_string(ticket)));
    EXPECT_EQ(answer_to(ticket).body, "for " + std::to_string(ticket));
  }
  void comes_back(FakeConnection& child) {
    child.read_bytes(kTerminatorBytes);
    child.forget();
  }
  FakeServer& server_ = add_server(Kind::unix);
};

TEST_F(FcgiPoolReady, RequestInTheQueueGoesToTheProcessThatComesBack) {
  start(1);
  submit(1);
  submit(2);
  FakeConnection child = server_.accept();
  serve_lazily(child, 1);
  EXPECT_EQ(pool_->queued(), 1u) << "it may be about to end";
  EXPECT_FALSE(child.ended_now());
  for (uint64_t ticket = 2; ticket < 10; ++ticket) {
    submit(ticket + 1);
    comes_back(child);
    serve_lazily(child, ticket);
  }
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  EXPECT_EQ(stats_->backend_unread.get(), 0u);
}

TEST_F(FcgiPoolReady, ReadyConnectionNeedsNoRest) {
  start(4);
  submit(1);
  FakeConnection child = server_.accept();
  serve_lazily(child, 1);
  comes_back(child);
  submit(2);
  serve(child, 2);
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
}

// fastcgi_finish_request(): the answer is there, and the script goes on.
TEST_F(FcgiPoolReady, ProcessThatWorksOnAfterItsAnswerGetsNoRequest) {
  start(4);
  submit(1);
  FakeConnection busy = server_.accept();
  serve_lazily(busy, 1);
  pass(Pool::kRestMs);
  submit(2);
  FakeConnection other = server_.accept();
  EXPECT_TRUE(busy.ended());
  serve(other, 2);
  EXPECT_EQ(stats_->backend_unread.get(), 1u);
  expect_quiet();
}

TEST_F(FcgiPoolReady, WhereNoOtherConnectionMayBeItIsWaitedForWithPatience) {
  start(1);
  submit(1);
  FakeConnection busy = server_.accept();
  serve_lazily(busy, 1);
  submit(2);
  pass(backend_.keep_alive_patience_ms - 1);
  EXPECT_EQ(pool_->queued(), 1u);
  EXPECT_FALSE(busy.ended_now());
  pass(1);
  EXPECT_TRUE(busy.ended());
  FakeConnection other = server_.accept();
  serve(other, 2);
  EXPECT_EQ(stats_->backend_unread.get(), 1u);
}

// As php-fpm does after pm.max_requests.
TEST_F(FcgiPoolReady, ProcessThatEndsAfterItsAnswerGetsNoRequest) {
  start(1);
  submit(1);
  submit(2);
  FakeConnection ending = server_.accept();
  serve_lazily(ending, 1);
  ending.end_output();
  ending.read_bytes(kTerminatorBytes);
  FakeConnection other = server_.accept();
  serve(other, 2);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  EXPECT_EQ(stats_->backend_failed.get(), 0u);
}

TEST_F(FcgiPoolReady, ServerThatReadsTheTerminatorAtOnceShowsNothing) {
  start(4);
  submit(1);
  FakeConnection first = server_.accept();
  serve(first, 1);
  submit(2);
  FakeConnection second = server_.accept();
  serve(second, 2);
  EXPECT_EQ(stats_->backend_unread.get(), 0u);
}

// What is sent cannot be taken back, so no more is sent than must be.
TEST_F(FcgiPoolReady, WhereOneWaitsForAChildOthersWaitInTheQueue) {
  start(8);
  submit(1);
  FakeConnection child = server_.accept();
  submit(2);  // no child accepts it
  pass(Pool::kAcceptMs);
  for (uint64_t ticket = 3; ticket <= 6; ++ticket) submit(ticket);
  EXPECT_EQ(pool_->queued(), 4u);
  serve_lazily(child, 1);
  for (uint64_t ticket = 3; ticket <= 4; ++ticket) {
    comes_back(child);
    serve_lazily(child, ticket);
  }
  EXPECT_EQ(stats_->backend_connects.get(), 2u);
  // The turn of the one that waits.
  comes_back(child);
  read_lazily(child, 5);
  pass(Pool::kTurnMs);
  reply(child, 5);
  EXPECT_TRUE(child.ended());
  FakeConnection next = server_.accept();
  serve_lazily(next, 2);
  // It was taken, so another may go there.
  FakeConnection another = server_.accept();
  serve(another, 6);
  EXPECT_EQ(stats_->backend_connects.get(), 3u);
  expect_quiet();
}

TEST_F(FcgiPoolReady, FullQueueIsNoReasonToRefuseWhatAConnectionMayCarry) {
  start(8, 0);
  submit(1);
  submit(2);
  pass(Pool::kAcceptMs);
  for (uint64_t ticket = 3; ticket <= 8; ++ticket) EXPECT_TRUE(submit(ticket)) << ticket;
  EXPECT_FALSE(submit(9));
}

TEST_F(FcgiPoolReady, OtherServerTakesWhatACrowdedOneWouldLetWait) {
  FakeServer& free = add_server(Kind::unix);
  start(8);
  submit(1);
  submit(2);
  FakeConnection one = free.accept();
  serve(one, free.address().text == backend_.servers[0].address.text ? 1 : 2);
  pass(Pool::kAcceptMs);
  for (uint64_t ticket = 3; ticket <= 6; ++ticket) submit(ticket);
  EXPECT_EQ(pool_->queued(), 0u);
}

class FcgiPoolKept : public PoolTest, public ::testing::WithParamInterface<Kind> {
 protected:
  FakeServer& server_ = add_server(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Sockets, FcgiPoolKept, ::testing::Values(Kind::unix, Kind::tcp),
                         [](const auto& kind) {
                           return kind.param == Kind::unix ? "Unix" : "Tcp";
                         });

TEST_P(FcgiPoolKept, SwitchedOffEachRequestHasAConnectionOfItsOwn) {
  backend_.keep_alive = false;
  start();
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) {
    submit(ticket);
    FakeConnection connection = server_.accept();
    EXPECT_FALSE(connection.read_request().keep);
    connection.write(answer("x"));
    EXPECT_EQ(answer_to(ticket).body, "x");
    EXPECT_TRUE(connection.ended());
    pass(Pool::kRestMs);
  }
}

class FcgiPoolTcpLate : public PoolTest {
 protected:
  FakeServer& server_ = add_server(Kind::tcp);
};

TEST_F(FcgiPoolTcpLate, KeptConnectionThatDoesNotAnswerEndsKeepingForAWhile) {
  start();
  FakeConnection busy = idle_connection(server_);
  submit(1);
  pass(backend_.keep_alive_patience_ms);
  for (uint64_t ticket = 2; ticket <= 3; ++ticket) {
    submit(ticket);
    FakeConnection other = server_.accept();
    serve(other, ticket);
    EXPECT_TRUE(other.ended());
  }
  serve(busy, 1);  // late, but not lost
  EXPECT_TRUE(busy.ended());
  pass(10'000);
  FakeConnection kept = idle_connection(server_, 10);
  submit(11);
  serve(kept, 11);
}

}  // namespace
}  // namespace holdfast::fcgi
