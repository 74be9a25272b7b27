// What is retried, what is not, and what several servers share (worker/backends/fcgi/pool.h, "Retry": R1 to
// R4).
#include <sys/socket.h>

#include "tests/unit/backends/fcgi/pool_fixture.h"

namespace holdfast::fcgi {
namespace {

using Kind = FakeServer::Kind;

using FcgiPoolRetry = PoolTest;

TEST_F(FcgiPoolRetry, RefusedRequestGoesToTheOtherServer) {  // R1
  FakeServer& gone = add_server(Kind::unix, 1000);
  FakeServer& other = add_server(Kind::unix, 1);
  start();
  gone.stop();
  submit(1);
  FakeConnection connection = other.accept();
  serve(connection, 1);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
  EXPECT_EQ(stats_->backend_connect_errors.get(), 1u);
  submit(2);  // the one that refused is left out
  FakeConnection next = other.accept();
  serve(next, 2);
  EXPECT_EQ(stats_->backend_connect_errors.get(), 1u);
}

TEST_F(FcgiPoolRetry, TwoServersThatRefuseAreNoServer) {
  FakeServer& first = add_server(Kind::unix);
  FakeServer& second = add_server(Kind::tcp);
  start();
  first.stop();
  second.stop();
  submit(1);
  turn_until(loop_, [&] { return stats_->backend_connect_errors.get() >= 2; });
  EXPECT_TRUE(inbox_.answers.empty()) << "within connect_timeout there is hope";
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::no_server);
  EXPECT_EQ(stats_->backend_retried.get(), 1u) << "once";
  EXPECT_EQ(stats_->backend_failed.get(), 1u);
}

// A listener with a full backlog leaves TCP connects unanswered.
TEST_F(FcgiPoolRetry, ConnectTimeoutGoesToTheOtherServer) {
  FakeServer& full = add_server(Kind::tcp, 1000, 0);
  FakeServer& other = add_server(Kind::unix, 1);
  std::vector<UniqueFd> fill;
  for (int n = 0; n < 4; ++n) {
    fill.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::connect(fill.back().get(), reinterpret_cast<const sockaddr*>(&full.address().raw),
              full.address().raw_bytes);
  }
  start();
  submit(1);
  EXPECT_EQ(stats_->backend_connects.get(), 0u);
  pass(backend_.connect_timeout_ms);
  FakeConnection connection = other.accept();
  serve(connection, 1);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

TEST_F(FcgiPoolRetry, FullUnixBacklogIsTriedAgain) {
  FakeServer& server = add_server(Kind::unix, 1, 0);
  start(8);
  submit(1);  // fills the backlog
  submit(2);  // connect: EAGAIN
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  pass(100);
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  EXPECT_EQ(stats_->backend_waiting.get(), 2u) << "both wait for a server process";
  EXPECT_EQ(stats_->backend_connect_errors.get(), 0u) << "busy is no error";
  FakeConnection first = server.accept();
  pass(100);
  FakeConnection second = server.accept();
  serve(first, 1);
  serve(second, 2);
  expect_quiet();
}

TEST_F(FcgiPoolRetry, BacklogThatStaysFullIsNoServer) {
  FakeServer& server = add_server(Kind::unix, 1, 0);
  start(8);
  submit(1);
  submit(2);
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(2).outcome, Outcome::no_server);
  EXPECT_FALSE(answer_to(2).may_have_run);
  FakeConnection first = server.accept();
  serve(first, 1);
}

TEST_F(FcgiPoolRetry, OverloadedServerHandsOverToTheOther) {  // R2
  FakeServer& busy = add_server(Kind::unix, 1000);
  FakeServer& other = add_server(Kind::unix, 1);
  start();
  submit(1, "body");
  FakeConnection refused = busy.accept();
  refused.read_request();
  refused.write(end_record(0, 2));
  FakeConnection connection = other.accept();
  EXPECT_EQ(connection.read_request().body, "body");
  connection.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_TRUE(refused.ended());
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
  EXPECT_EQ(stats_->backend_requests.get(), 1u) << "one request, sent twice";
}

TEST_F(FcgiPoolRetry, OverloadedWithoutAnotherServerIsOverloaded) {
  FakeServer& server = add_server(Kind::tcp);
  start();
  for (int status : {1, 2}) {
    auto ticket = uint64_t(status);
    submit(ticket);
    FakeConnection connection = server.accept();
    connection.read_request();
    connection.write(stderr_record("too busy") + end_record(0, status));
    EXPECT_EQ(answer_to(ticket).outcome, Outcome::overloaded);
    EXPECT_FALSE(answer_to(ticket).may_have_run);
  }
  EXPECT_EQ(stats_->backend_overloaded.get(), 2u);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

TEST_F(FcgiPoolRetry, SecondOverloadedServerEndsIt) {
  FakeServer& first = add_server(Kind::unix, 1000);
  FakeServer& second = add_server(Kind::unix, 1);
  start();
  submit(1);
  FakeConnection a = first.accept();
  a.read_request();
  a.write(end_record(0, 2));
  FakeConnection b = second.accept();
  b.read_request();
  b.write(end_record(0, 2));
  EXPECT_EQ(answer_to(1).outcome, Outcome::overloaded);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

// The server's end has arrived before our bytes leave: nobody can have read them.
TEST_F(FcgiPoolRetry, TcpServerThatEndedBeforeOurBytesCameIsTriedAgain) {  // R3
  FakeServer& server = add_server(Kind::tcp);
  start();
  submit(1, "body");
  FakeConnection ended = server.accept_behind_its_back();
  ended.close();
  FakeConnection next = server.accept();
  EXPECT_EQ(next.read_request().body, "body");
  next.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

// php-fpm's child has served pm.max_requests: it ends its output and throws away what still comes
// in.
TEST_F(FcgiPoolRetry, ChildThatEndsAsWeSendIsReplaced) {  // R4
  FakeServer& server = add_server(Kind::unix);
  start();
  FakeConnection ending = idle_connection(server);
  submit(1, "body");
  ending.read_request();
  ending.end_output();
  FakeConnection next = server.accept();
  EXPECT_EQ(next.read_request().body, "body");
  next.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

TEST_F(FcgiPoolRetry, ChildThatEndsAsWeSendIsReplacedOnceOnly) {
  FakeServer& server = add_server(Kind::unix);
  start();
  FakeConnection ending = idle_connection(server);
  submit(1);
  ending.read_request();
  ending.end_output();
  FakeConnection next = server.accept();
  next.read_request();
  next.end_output();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
  EXPECT_TRUE(server.nobody_waits());
}

// On its first request it is no leftover of an earlier one.
TEST_F(FcgiPoolRetry, EndOfOutputAloneIsNoProofOnAFirstRequest) {
  FakeServer& server = add_server(Kind::unix);
  start();
  submit(1);
  FakeConnection fresh = server.accept();
  fresh.read_request();
  fresh.end_output();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

// There it cannot be told from a full close.
TEST_F(FcgiPoolRetry, EndOfOutputOnTcpAfterOurBytesArrivedIsLost) {
  FakeServer& server = add_server(Kind::tcp);
  start();
  FakeConnection kept = idle_connection(server);
  submit(1);
  kept.read_request();
  kept.end_output();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_TRUE(answer_to(1).may_have_run);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

// Our bytes went into the server's socket, unread, and it was closed: php-fpm's children leave that
// behind whether they ran the script or not.
TEST_F(FcgiPoolRetry, ResetWithUnreadBytesIsNotRetried) {
  for (Kind kind : {Kind::unix, Kind::tcp}) {
    backend_.servers.clear();
    FakeServer& server = add_server(kind);
    start();
    auto ticket = kind == Kind::unix ? 1u : 2u;
    submit(ticket);
    FakeConnection connection = server.accept();
    ASSERT_TRUE(turn_until(loop_, [&] { return !connection.silent(); }));
    kind == Kind::tcp ? connection.reset() : connection.close();
    EXPECT_EQ(answer_to(ticket).outcome, Outcome::lost);
    EXPECT_TRUE(answer_to(ticket).may_have_run);
  }
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

TEST_F(FcgiPoolRetry, ServerThatDiesWithABodyHalfSentIsLost) {
  FakeServer& server = add_server(Kind::unix);
  start();
  submit(1, std::string(8 << 20, 'b'));
  FakeConnection connection = server.accept();
  connection.read_bytes(100'000);
  connection.close();
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_TRUE(answer_to(1).may_have_run);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
}

TEST_F(FcgiPoolRetry, ConnectionsInBacklogOfAServerThatStopsAreLostNotForgotten) {
  for (Kind kind : {Kind::unix, Kind::tcp}) {
    backend_.servers.clear();
    inbox_.answers.clear();
    FakeServer& server = add_server(kind);
    start(8);
    uint64_t connects = stats_->backend_connects.get() + 5;
    for (uint64_t n = 1; n <= 5; ++n) submit(n);
    ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connects.get() == connects; }));
    server.stop();
    for (uint64_t n = 1; n <= 5; ++n) EXPECT_EQ(answer_to(n).outcome, Outcome::lost);
    expect_quiet();
  }
}

TEST_F(FcgiPoolRetry, RequestsAreSharedOutByWeight) {
  FakeServer& heavy = add_server(Kind::unix, 3);
  FakeServer& light = add_server(Kind::unix, 1);
  start(8);
  for (uint64_t n = 1; n <= 8; ++n) submit(n);
  std::vector<FakeConnection> at_heavy, at_light;
  for (int n = 0; n < 6; ++n) at_heavy.push_back(heavy.accept());
  for (int n = 0; n < 2; ++n) at_light.push_back(light.accept());
  EXPECT_TRUE(heavy.nobody_waits());
  EXPECT_TRUE(light.nobody_waits());
}

TEST_F(FcgiPoolRetry, IdleConnectionElsewhereServesWhenTheShareIsUsedUp) {
  FakeServer& first = add_server(Kind::unix);
  add_server(Kind::unix);
  start(1);
  FakeConnection only = idle_connection(first);
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) {
    submit(ticket);
    serve(only, ticket);
    pass(Pool::kRestMs);
  }
}

}  // namespace
}  // namespace holdfast::fcgi
