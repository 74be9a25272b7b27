// The rows of the state table in worker/backends/fcgi/pool.h, on unix sockets and on TCP.
#include <string>

#include "tests/unit/backends/fcgi/pool_fixture.h"

namespace holdfast::fcgi {
namespace {

using Kind = FakeServer::Kind;

class FcgiPoolStates : public PoolTest, public ::testing::WithParamInterface<Kind> {
 protected:
  FakeServer& server_ = add_server(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Sockets, FcgiPoolStates, ::testing::Values(Kind::unix, Kind::tcp),
                         [](const auto& kind) {
                           return kind.param == Kind::unix ? "Unix" : "Tcp";
                         });

TEST_P(FcgiPoolStates, RequestIsAnsweredWithStatusHeadersAndBody) {
  start();
  ASSERT_TRUE(submit(7, "hello"));
  EXPECT_EQ(pool_->in_flight(), 1u);
  FakeConnection connection = server_.accept();
  ReceivedRequest request = connection.read_request();
  EXPECT_TRUE(request.keep);
  EXPECT_EQ(request.params["TICKET"], "7");
  EXPECT_EQ(request.body, "hello");
  connection.write(answer("bye", "Status: 201 Created\r\nHoldfast-Join: a\r\nX: 1\r\n"));
  const Answer& got = answer_to(7);
  EXPECT_EQ(got.outcome, Outcome::answered);
  EXPECT_EQ(got.status, 201);
  EXPECT_EQ(got.body, "bye");
  EXPECT_EQ(got.header("holdfast-join"), "a");
  EXPECT_EQ(got.header("Status"), "");
  EXPECT_EQ(got.headers.size(), 2u);
  EXPECT_TRUE(got.may_have_run);
  EXPECT_EQ(stats_->backend_requests.get(), 1u);
  EXPECT_EQ(stats_->backend_answers.get(), 1u);
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  EXPECT_EQ(stats_->backend_connections.get(), 1u);
  EXPECT_EQ(stats_->backend_request_us.count.get(), 1u);
  expect_quiet();
}

TEST_P(FcgiPoolStates, AnswerInSingleBytesIsTheSame) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  for (char byte : stderr_record("one\ntwo") + answer("slow")) connection.write({&byte, 1});
  EXPECT_EQ(answer_to(1).body, "slow");
  EXPECT_EQ(stats_->backend_stderr_lines.get(), 2u);
}

TEST_P(FcgiPoolStates, IdleConnectionTakesTheNextRequest) {
  start();
  FakeConnection connection = idle_connection(server_);
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) {
    submit(ticket);
    serve(connection, ticket);
    pass(Pool::kRestMs);
  }
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  EXPECT_TRUE(server_.nobody_waits());
}

// php-fpm may be about to end the connection right after its answer.
TEST_P(FcgiPoolStates, ConnectionRestsBeforeItTakesTheNextRequest) {
  start();
  submit(1);
  FakeConnection first = server_.accept();
  serve(first, 1);
  submit(2);
  FakeConnection second = server_.accept();
  EXPECT_TRUE(first.ended()) << "the resting one makes room";
  serve(second, 2);
  EXPECT_EQ(stats_->backend_connections.get(), 1u);
}

TEST_P(FcgiPoolStates, StatusOf500IsAnAnswerAndCountedApart) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(answer("", "Status: 500 Internal Server Error\r\n"));
  EXPECT_EQ(answer_to(1).outcome, Outcome::answered);
  EXPECT_EQ(answer_to(1).status, 500);
  EXPECT_EQ(stats_->backend_errors_5xx.get(), 1u);
  EXPECT_EQ(stats_->backend_answers.get(), 0u);
}

TEST_P(FcgiPoolStates, ApplicationStatusIsNoFailure) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(stdout_record("\r\nbody") + end_record(255));
  EXPECT_EQ(answer_to(1).outcome, Outcome::answered);
  EXPECT_EQ(answer_to(1).body, "body");
}

TEST_P(FcgiPoolStates, LargeBodiesAndAnswersPass) {
  backend_.max_response = 4 << 20;
  start();
  std::string body(1 << 20, 'b');
  for (size_t n = 0; n < body.size(); ++n) body[n] = char(n * 131 >> 7);
  submit(1, body);
  FakeConnection connection = server_.accept();
  EXPECT_EQ(connection.read_request().body, body);
  std::string reply = stdout_record("\r\n");
  for (size_t at = 0; at < body.size(); at += 50'000)
    reply += record(6, body.substr(at, 50'000), at % 256);
  connection.write(reply + end_record());
  EXPECT_EQ(answer_to(1).body, body);
}

TEST_P(FcgiPoolStates, AnswerBeforeTheWholeBodyWasTakenIsComplete) {
  start();
  submit(1, std::string(8 << 20, 'b'));
  FakeConnection connection = server_.accept();
  connection.read_bytes(1000);
  connection.write(answer("enough"));
  EXPECT_EQ(answer_to(1).outcome, Outcome::answered);
  EXPECT_EQ(answer_to(1).body, "enough");
  EXPECT_TRUE(connection.ended()) << "what is unsent makes the connection useless";
  EXPECT_EQ(stats_->backend_connections.get(), 0u);
}

TEST_P(FcgiPoolStates, OutputWhileTheBodyIsStillSentIsKept) {
  start();
  std::string body(8 << 20, 'b');
  submit(1, body);
  FakeConnection connection = server_.accept();
  connection.write(stdout_record("\r\nearly "));
  EXPECT_EQ(connection.read_request().body.size(), body.size());
  connection.write(stdout_record("late") + end_record());
  EXPECT_EQ(answer_to(1).body, "early late");
}

TEST_P(FcgiPoolStates, SilenceForReadTimeoutEndsAsTimedOutAndIsNotRetried) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  pass(backend_.read_timeout_ms - 1'000);
  EXPECT_TRUE(inbox_.answers.empty());
  pass(1'000);
  EXPECT_EQ(answer_to(1).outcome, Outcome::timed_out);
  EXPECT_TRUE(answer_to(1).may_have_run);
  EXPECT_TRUE(connection.ended()) << "closing is how a request is aborted";
  EXPECT_TRUE(server_.nobody_waits());
  EXPECT_EQ(stats_->backend_timed_out.get(), 1u);
  EXPECT_EQ(stats_->backend_failed.get(), 0u);
  expect_quiet();
}

TEST_P(FcgiPoolStates, EverySignOfLifeBeginsReadTimeoutAnew) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  for (uint64_t line = 1; line <= 3; ++line) {
    pass(backend_.read_timeout_ms - 2'000);
    connection.write(stderr_record("still here\n"));
    ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_stderr_lines.get() == line; }));
  }
  EXPECT_TRUE(inbox_.answers.empty());
  pass(backend_.read_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::timed_out);
}

TEST_P(FcgiPoolStates, EarlyEndInTheAnswerIsLost) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(stdout_record("\r\nhalf an ans"));
  connection.close();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_TRUE(answer_to(1).may_have_run);
  EXPECT_EQ(answer_to(1).body, "");
  EXPECT_TRUE(server_.nobody_waits()) << "not retried";
  EXPECT_EQ(stats_->backend_failed.get(), 1u);
  expect_quiet();
}

TEST_P(FcgiPoolStates, EarlyEndWithinEveryByteOfTheAnswerIsLost) {
  start();
  std::string whole = stderr_record("e\n") + answer("x");
  for (size_t cut = 1; cut < whole.size(); ++cut) {
    submit(cut);
    FakeConnection connection = server_.accept();
    connection.read_request();
    connection.write(whole.substr(0, cut));
    connection.close();
    EXPECT_EQ(answer_to(cut).outcome, Outcome::lost) << cut;
  }
  EXPECT_EQ(stats_->backend_failed.get(), whole.size() - 1);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

// A php-fpm child that is killed in the script looks like this: most of the request read, no
// answer, reset or end.
TEST_P(FcgiPoolStates, EndAfterTheRequestWasReadIsLostAndNotRetried) {
  start();
  submit(1);
  FakeConnection read_all = server_.accept();
  read_all.read_request();
  read_all.close();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_TRUE(answer_to(1).may_have_run);
  submit(2);
  FakeConnection read_most = server_.accept();
  read_most.read_bytes(32);
  read_most.close();
  EXPECT_EQ(answer_to(2).outcome, Outcome::lost);
  EXPECT_TRUE(answer_to(2).may_have_run);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  EXPECT_TRUE(server_.nobody_waits());
}

TEST_P(FcgiPoolStates, NonsenseIsLost) {
  start();
  uint64_t ticket = 0;
  for (std::string bytes : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), record(6, "x", 0, 9),
                            record(5, ""), stdout_record("no header") + end_record(), end_record(),
                            stdout_record("a b: c\r\n\r\n") + end_record(),
                            stdout_record("x: y\r\n\r\n") + end_record(0, 3),
                            stdout_record("\r\n") + end_record(0, 2)}) {
    submit(++ticket);
    FakeConnection connection = server_.accept();
    connection.read_request();
    connection.write(bytes);
    EXPECT_EQ(answer_to(ticket).outcome, Outcome::lost) << testing::PrintToString(bytes);
    EXPECT_TRUE(answer_to(ticket).may_have_run);
    pass(Pool::kRestMs);
  }
  EXPECT_EQ(stats_->backend_failed.get(), ticket);
}

TEST_P(FcgiPoolStates, UnknownRoleIsLostAndHasNotRun) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(end_record(0, 3));
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_FALSE(answer_to(1).may_have_run);
}

TEST_P(FcgiPoolStates, BytesAfterTheEndSpoilTheConnectionOnly) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(answer("fine") + "rest");
  EXPECT_EQ(answer_to(1).body, "fine");
  EXPECT_TRUE(connection.ended());
  submit(2);
  FakeConnection next = server_.accept();
  serve(next, 2);
}

TEST_P(FcgiPoolStates, AnswerOfMaxResponsePassesAndOneByteMoreDoesNot) {
  backend_.max_response = 10'000;
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(answer(std::string(10'000 - 2, 'x'), ""));
  EXPECT_EQ(answer_to(1).outcome, Outcome::answered);
  pass(Pool::kRestMs);
  submit(2);
  connection.read_request();
  connection.write(answer(std::string(10'000 - 1, 'x'), ""));
  EXPECT_EQ(answer_to(2).outcome, Outcome::too_large);
  EXPECT_TRUE(answer_to(2).may_have_run);
  EXPECT_TRUE(connection.ended());
  EXPECT_EQ(stats_->backend_failed.get(), 1u);
}

TEST_P(FcgiPoolStates, IdleConnectionThatEndsIsGone) {
  start();
  FakeConnection connection = idle_connection(server_);
  EXPECT_EQ(stats_->backend_connections.get(), 1u);
  connection.close();
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connections.get() == 0; }));
  submit(1);
  FakeConnection next = server_.accept();
  serve(next, 1);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

TEST_P(FcgiPoolStates, IdleConnectionThatSpeaksIsGone) {
  start();
  FakeConnection connection = idle_connection(server_);
  connection.write("x");
  EXPECT_TRUE(connection.ended());
}

// The end lies in the socket already, but the loop has not turned: the request must not go there.
TEST_P(FcgiPoolStates, EndedIdleConnectionIsNoticedBeforeItIsUsed) {
  start();
  FakeConnection connection = idle_connection(server_);
  connection.close();
  submit(1);
  FakeConnection next = server_.accept();
  serve(next, 1);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  EXPECT_EQ(stats_->backend_connections.get(), 1u);
}

TEST_P(FcgiPoolStates, ConnectionIsClosedWhenItIsOld) {
  start();
  FakeConnection connection = idle_connection(server_);
  pass(Pool::kMaxAgeMs);
  EXPECT_TRUE(connection.ended()) << "it pins a php-fpm child";
  EXPECT_EQ(stats_->backend_connections.get(), 0u);
}

TEST_P(FcgiPoolStates, NoConnectionIsKeptWhileTheWorkerDrains) {
  start();
  FakeConnection idle = idle_connection(server_);
  pool_->keep_no_connections();
  EXPECT_TRUE(idle.ended());
  submit(1);
  FakeConnection next = server_.accept();
  EXPECT_FALSE(next.read_request().keep);
  next.write(answer("last"));
  EXPECT_EQ(answer_to(1).body, "last");
  EXPECT_TRUE(next.ended());
}

TEST_P(FcgiPoolStates, NoConnectionIsKeptWhileOtherWorkersWait) {
  start();
  FakeConnection idle = idle_connection(server_);
  submit(1);
  idle.read_request();
  FakeConnection busy = std::move(idle);
  others_waiting_ = true;
  pass(0);
  busy.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_TRUE(busy.ended());
  submit(2);
  FakeConnection next = server_.accept();
  EXPECT_FALSE(next.read_request().keep);
}

TEST_P(FcgiPoolStates, IdleConnectionsAreClosedWhileOtherWorkersWait) {
  start();
  FakeConnection idle = idle_connection(server_);
  others_waiting_ = true;
  pass(0);
  EXPECT_TRUE(idle.ended());
}

TEST_P(FcgiPoolStates, RefusedConnectIsTriedAgainUntilTheServerIsBack) {
  start();
  server_.stop();
  submit(1);
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connect_errors.get() >= 1; }));
  EXPECT_TRUE(inbox_.answers.empty());
  server_.start();
  pass(100);
  FakeConnection connection = server_.accept();
  serve(connection, 1);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

TEST_P(FcgiPoolStates, ServerThatStaysAwayIsNoServer) {
  start();
  server_.stop();
  submit(1);
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connect_errors.get() >= 1; }));
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::no_server);
  EXPECT_FALSE(answer_to(1).may_have_run);
  EXPECT_EQ(stats_->backend_failed.get(), 1u);
  EXPECT_EQ(stats_->backend_requests.get(), 0u) << "nothing was sent";
  // Known to be down: the next one does not wait, but is not answered inside submit() either.
  submit(2);
  EXPECT_EQ(inbox_.answers.count(2), 0u);
  ASSERT_TRUE(turn_until(loop_, [&] { return pass(0), inbox_.answers.count(2) > 0; }));
  EXPECT_EQ(answer_to(2).outcome, Outcome::no_server);
  expect_quiet();
}

TEST_P(FcgiPoolStates, GoneServerThatComesBackIsUsedAgain) {
  start();
  server_.stop();
  submit(1);
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::no_server);
  server_.start();
  submit(2);
  FakeConnection connection = server_.accept();
  serve(connection, 2);
}

TEST_P(FcgiPoolStates, OpenRequestsAreDroppedSilentlyWithThePool) {
  start(1, 10);
  submit(1);
  submit(2);
  FakeConnection connection = server_.accept();
  connection.read_request();
  pool_.reset();
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(inbox_.answers.empty());
  EXPECT_EQ(stats_->backend_connections.get(), 0u);
  EXPECT_EQ(stats_->backend_queued.get(), 0u);
}

}  // namespace
}  // namespace holdfast::fcgi
