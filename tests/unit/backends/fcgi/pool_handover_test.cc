// A pool that moves to another process: every request is answered once, whatever it was in the
// middle of. Both processes are this one; the records pass through their bytes, the sockets are
// duplicates.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tests/unit/backends/fcgi/pool_fixture.h"
#include "worker/backends/fcgi/connection.h"

namespace holdfast::fcgi {
namespace {

using handover::load;
using handover::save;
using Kind = FakeServer::Kind;

// What a pool is made of on its way.
struct Luggage {
  std::string pool;
  std::vector<std::pair<std::string, UniqueFd>> carried;
};

class FcgiPoolHandover : public PoolTest {
 protected:
  // Those of all pools to come.
  Pool& start_with(unsigned connections, unsigned queue = 100) {
    share_ = {connections, queue};
    return start(connections, queue);
  }
  Luggage pack() {
    pool_->settle();
    Luggage luggage{save(pool_->save()), {}};
    for (const auto& [record, fd] : pool_->carried())
      luggage.carried.emplace_back(save(record), UniqueFd(dup(fd)));
    return luggage;
  }
  std::string picture_of_stats() const {
    return {reinterpret_cast<const char*>(stats_.get()), sizeof *stats_};
  }
  // A process that has handed over ends without destructors: what they write is undone.
  void leave() {
    std::string before = picture_of_stats();
    pool_.reset();
    loop_.bury();
    std::memcpy(static_cast<void*>(stats_.get()), before.data(), before.size());
  }
  bool unpack(Luggage&& luggage) {
    start(share_.connections, share_.queue);
    PoolRecord record;
    if (!load(luggage.pool, record) || !pool_->restore(std::move(record), &inbox_)) return false;
    for (auto& [bytes, fd] : luggage.carried)
      if (CarriedRecord request;
          !load(bytes, request) || !pool_->restore(std::move(request), std::move(fd), &inbox_))
        return false;
    return true;
  }
  // Afterwards pool_ is another process's.
  void move() {
    Luggage luggage = pack();
    leave();
    std::string before = picture_of_stats();
    ASSERT_TRUE(unpack(std::move(luggage)));
    EXPECT_EQ(picture_of_stats(), before) << "the gauges know of what is restored";
    pass(0);
  }
  PoolRecord waiting() const { return pool_->save(); }
  // The only request under way.
  CarriedRecord carried() const {
    auto all = pool_->carried();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? CarriedRecord{} : all[0].first;
  }
  // The pool has read what its servers have written.
  bool has_read_all() {
    return turn_until(loop_, [&] {
      int unread = 0;
      for (const auto& [record, fd] : pool_->carried())
        if (int bytes = 0; ioctl(fd, FIONREAD, &bytes) == 0) unread += bytes;
      return unread == 0;
    });
  }
  std::vector<uint64_t> tickets_waiting() const {
    std::vector<uint64_t> tickets;
    for (const ExchangeRecord& exchange : waiting().queue) tickets.push_back(exchange.ticket);
    return tickets;
  }

  // A request that waits for its answer at `server`.
  CarriedRecord carried_to(const FakeServer& server, uint64_t ticket, std::string bytes) const {
    CarriedRecord record;
    record.sent = bytes.size();
    record.exchange = {std::move(bytes), "0123", true, ticket, 0, clock_ms_, {}, false, true};
    record.server = server.address().text;
    record.state = uint8_t(Connection::State::waiting);
    record.sign_of_life_ms = record.began_ms = record.born_ms = clock_ms_;
    record.keep = true;
    return record;
  }

  Pool::Share share_{4, 100};
};

class FcgiPoolMoves : public FcgiPoolHandover, public ::testing::WithParamInterface<Kind> {
 protected:
  FakeServer& server_ = add_server(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Sockets, FcgiPoolMoves, ::testing::Values(Kind::unix, Kind::tcp),
                         [](const auto& kind) {
                           return kind.param == Kind::unix ? "Unix" : "Tcp";
                         });

// Every part of a record that a reader can be in: two kinds of output, padding, an empty record,
// one about no request.
std::string whole_answer() {
  return stderr_record("one\ntw") + record(6, "Status: 201 Created\r\nX: 1\r\n\r\nbo", 5) +
         record(10, "m", 7, 0) + stderr_record("o") + record(6, "dy", 3) + stdout_record("") +
         end_record();
}

// ---- the answer half read

TEST_P(FcgiPoolMoves, AnswerGoesOnFromEveryByte) {
  start();
  const std::string whole = whole_answer();
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    SCOPED_TRACE(testing::Message() << "moved after byte " << cut);
    ASSERT_TRUE(submit(cut, "body"));
    FakeConnection connection = server_.accept();
    ASSERT_EQ(connection.read_request().params["TICKET"], std::to_string(cut));
    connection.write(whole.substr(0, cut));
    ASSERT_TRUE(has_read_all());
    move();
    ASSERT_EQ(pool_->in_flight(), 1u);
    ASSERT_EQ(carried().received, cut > 0);
    connection.write(whole.substr(cut));
    const Answer& got = answer_to(cut);
    ASSERT_EQ(got.outcome, Outcome::answered);
    ASSERT_EQ(got.status, 201);
    ASSERT_EQ(got.header("x"), "1");
    ASSERT_EQ(got.body, "body");
    ASSERT_EQ(stats_->backend_stderr_lines.get(), 2 * (cut + 1));
  }
  EXPECT_EQ(stats_->backend_requests.get(), whole.size());
  EXPECT_EQ(stats_->backend_connects.get(), whole.size());
  EXPECT_EQ(stats_->backend_answers.get(), whole.size());
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  expect_quiet();
}

TEST_P(FcgiPoolMoves, AnswerMovesAfterEverySingleByte) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  for (char byte : whole_answer()) {
    EXPECT_TRUE(inbox_.answers.empty());
    move();
    ASSERT_FALSE(HasFatalFailure());
    connection.write({&byte, 1});
    ASSERT_TRUE(has_read_all());
  }
  EXPECT_EQ(answer_to(1).body, "body");
  EXPECT_EQ(stats_->backend_stderr_lines.get(), 2u);
  EXPECT_EQ(stats_->backend_connections.get(), 1u) << "and is kept";
  expect_quiet();
}

TEST_P(FcgiPoolMoves, EarlyEndAfterTheMoveIsLostAndNotRetried) {
  start();
  const std::string whole = answer("x");
  for (size_t cut : {size_t(0), size_t(5), whole.size() - 1}) {
    submit(cut);
    FakeConnection connection = server_.accept();
    connection.read_request();
    connection.write(whole.substr(0, cut));
    ASSERT_TRUE(has_read_all());
    move();
    connection.close();
    EXPECT_EQ(answer_to(cut).outcome, Outcome::lost) << cut;
    EXPECT_TRUE(answer_to(cut).may_have_run);
  }
  EXPECT_EQ(stats_->backend_failed.get(), 3u);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  expect_quiet();
}

TEST_P(FcgiPoolMoves, EndThatLiesInTheSocketDuringTheMoveIsSeen) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  Luggage luggage = pack();
  leave();
  connection.write(answer("meanwhile"));
  connection.close();
  ASSERT_TRUE(unpack(std::move(luggage)));
  EXPECT_EQ(answer_to(1).body, "meanwhile");
  expect_quiet();
}

TEST_P(FcgiPoolMoves, MaxResponseCountsWhatWasReadBefore) {
  backend_.max_response = 10'000;
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  connection.write(stdout_record("\r\n" + std::string(9'000, 'x')));
  ASSERT_TRUE(has_read_all());
  move();
  connection.write(stdout_record(std::string(999, 'x')));
  EXPECT_EQ(answer_to(1).outcome, Outcome::too_large);
}

// ---- the request half sent

// Reads what the pool sends as bytes.
class ByteServer {
 public:
  explicit ByteServer(Loop& loop) : loop_(loop) {
    sockaddr_un raw{};
    raw.sun_family = AF_UNIX;
    path_.copy(raw.sun_path, sizeof raw.sun_path - 1);
    listening_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    HF_CHECK(bind(listening_.get(), reinterpret_cast<sockaddr*>(&raw), sizeof raw) == 0);
    HF_CHECK(listen(listening_.get(), 8) == 0);
  }
  conf::Address address() const { return *conf::parse_address("unix:" + path_); }
  bool accept() {
    return turn_until(loop_, [&] {
      fd_.reset(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      return bool(fd_);
    });
  }
  // Takes at most so many of the bytes that are there.
  void take_some(size_t most) {
    std::string room(most, '\0');
    ssize_t got = recv(fd_.get(), room.data(), most, 0);
    if (got > 0) bytes.append(room.data(), size_t(got));
  }
  FakeConnection connection() { return {loop_, std::move(fd_)}; }
  std::string bytes;

 private:
  Loop& loop_;
  TempDir dir_;
  std::string path_ = dir_.path() + "/fcgi.sock";
  UniqueFd listening_, fd_;
};

std::string pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = char(i * 131 >> 7);
  return text;
}

std::string request_bytes(uint64_t ticket, const std::string& body, bool keep = true) {
  std::string params;
  append_param(params, "TICKET", std::to_string(ticket));
  return encode_request(params, body, keep);
}

TEST_F(FcgiPoolHandover, RequestMovesAgainAndAgainWhileItsBodyIsSent) {
  ByteServer server(loop_);
  backend_.servers.push_back({.address = server.address(), .weight = 1});
  start();
  const std::string body = pattern(800'000), expected = request_bytes(1, body);
  submit(1, body);
  ASSERT_TRUE(server.accept());
  int moves = 0;
  ASSERT_TRUE(turn_until(loop_, [&] {
    if (server.bytes.size() < 600'000) ++moves, move();
    server.take_some(30'000);
    return server.bytes.size() >= expected.size();
  }));
  EXPECT_GE(moves, 20);
  EXPECT_TRUE(server.bytes == expected);
  FakeConnection connection = server.connection();
  connection.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_EQ(stats_->backend_requests.get(), 1u);
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
  expect_quiet();
}

// A socket never takes just a few bytes, so the record says so.
TEST_F(FcgiPoolHandover, RequestGoesOnFromEverySentByte) {
  FakeServer& server = add_server(Kind::unix);
  start();
  const std::string all = request_bytes(7, "the body");
  for (size_t sent = 1; sent <= all.size(); ++sent) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd near(ends[0]), far(ends[1]);
    CarriedRecord record = carried_to(server, sent, all);
    record.sent = sent;
    if (sent < all.size()) record.state = uint8_t(Connection::State::sending);
    ASSERT_TRUE(pool_->restore(std::move(record), std::move(near), &inbox_));
    std::string got;
    ASSERT_TRUE(turn_until(loop_, [&] {
      char bytes[4096];
      ssize_t n = recv(far.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (n > 0) got.append(bytes, size_t(n));
      return got.size() >= all.size() - sent;
    }));
    ASSERT_EQ(got, all.substr(sent));
    FakeConnection connection(loop_, std::move(far));
    ASSERT_TRUE(connection.silent());
    connection.write(answer("x"));
    ASSERT_EQ(answer_to(sent).outcome, Outcome::answered) << sent;
  }
  expect_quiet();
}

// ---- what no server has read

TEST_P(FcgiPoolMoves, QueueKeepsItsOrder) {
  start_with(1);
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) ASSERT_TRUE(submit(ticket));
  FakeConnection first = server_.accept();
  first.read_request();
  move();
  EXPECT_EQ(pool_->in_flight(), 1u);
  EXPECT_EQ(pool_->queued(), 4u);
  EXPECT_EQ(stats_->backend_queued.get(), 4u);
  first.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  for (uint64_t ticket = 2; ticket <= 5; ++ticket) {
    FakeConnection connection = server_.accept();
    if (ticket == 3) move();
    serve(connection, ticket);
  }
  EXPECT_EQ(inbox_.order, (std::vector<uint64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(stats_->backend_requests.get(), 5u);
  expect_quiet();
}

TEST_F(FcgiPoolHandover, RequestsWithoutAConnectionAreQueuedAgainBeforeTheOthers) {
  FakeServer& server = add_server(Kind::unix);
  start_with(2);
  server.stop();
  for (uint64_t ticket = 1; ticket <= 4; ++ticket) submit(ticket);
  EXPECT_EQ(tickets_waiting(), (std::vector<uint64_t>{3, 4}));
  Luggage luggage = pack();
  EXPECT_EQ(tickets_waiting(), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_TRUE(luggage.carried.empty());
  EXPECT_EQ(pool_->in_flight(), 0u);
  leave();
  server.start();
  ASSERT_TRUE(unpack(std::move(luggage)));
  pass(0);
  for (uint64_t ticket = 1; ticket <= 4; ++ticket) {
    FakeConnection connection = server.accept();
    serve(connection, ticket);
  }
  EXPECT_EQ(stats_->backend_requests.get(), 4u);
  EXPECT_EQ(stats_->backend_retried.get(), 0u);
  expect_quiet();
}

TEST_F(FcgiPoolHandover, RequestThatWaitsForAPlaceInTheBacklogWaitsOn) {
  FakeServer& server = add_server(Kind::unix, 1, 0);
  start();
  submit(1);  // fills the backlog: sent, and nobody has read it
  submit(2);  // EAGAIN
  pass(100);
  EXPECT_EQ(stats_->backend_waiting.get(), 2u);
  Luggage luggage = pack();
  EXPECT_EQ(luggage.carried.size(), 1u);
  EXPECT_EQ(stats_->backend_waiting.get(), 1u) << "what is queued is in another gauge";
  leave();
  ASSERT_TRUE(unpack(std::move(luggage)));
  EXPECT_EQ(stats_->backend_waiting.get(), 1u);
  pass(0);
  EXPECT_EQ(pool_->queued(), 1u) << "one in the backlog is enough";
  FakeConnection first = server.accept();
  serve(first, 1);
  FakeConnection second = server.accept();
  serve(second, 2);
  EXPECT_EQ(stats_->backend_connects.get(), 2u);
  expect_quiet();
}

TEST_P(FcgiPoolMoves, IdleConnectionsAreClosedAndTheNextRequestHasANewOne) {
  start();
  FakeConnection idle = idle_connection(server_);
  submit(1);
  submit(2);
  FakeConnection resting = server_.accept();
  idle.read_request();
  resting.read_request();
  idle.write(answer("for 1"));
  resting.write(answer("for 2"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  EXPECT_EQ(answer_to(2).body, "for 2");
  EXPECT_EQ(stats_->backend_connections.get(), 2u);
  move();
  EXPECT_TRUE(idle.ended());
  EXPECT_TRUE(resting.ended());
  EXPECT_EQ(stats_->backend_connections.get(), 0u);
  submit(3);
  FakeConnection next = server_.accept();
  serve(next, 3);
  expect_quiet();
}

TEST_P(FcgiPoolMoves, ConnectionIsKeptAfterItsAnswerAndNotBeyondItsAge) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  pass(0);
  move();
  connection.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  pass(Pool::kRestMs);
  submit(2);
  serve(connection, 2);
  pass(Pool::kRestMs);
  submit(3);
  EXPECT_EQ(connection.read_request().params["TICKET"], "3");
  move();
  pass(Pool::kMaxAgeMs - 2 * Pool::kRestMs);
  connection.write(answer("for 3"));
  EXPECT_EQ(answer_to(3).body, "for 3");
  EXPECT_TRUE(connection.ended()) << "it was born before the move";
  EXPECT_EQ(stats_->backend_connections.get(), 0u);
  EXPECT_EQ(stats_->backend_connects.get(), 1u);
}

TEST_F(FcgiPoolHandover, TcpConnectionThatHasAnsweredBeforeDoesNotWait) {
  FakeServer& server = add_server(Kind::tcp);
  start();
  FakeConnection proven = idle_connection(server);
  submit(1);
  proven.read_request();
  move();
  pass(500);
  EXPECT_EQ(stats_->backend_waiting.get(), 0u);
  proven.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
}

// ---- retries

TEST_F(FcgiPoolHandover, RetriedRequestIsNotRetriedAgain) {
  FakeServer& first = add_server(Kind::unix, 1000);
  FakeServer& second = add_server(Kind::unix, 1);
  start();
  submit(1);
  FakeConnection a = first.accept();
  a.read_request();
  move();
  a.write(end_record(0, 2));
  FakeConnection b = second.accept();
  b.read_request();
  move();
  b.write(end_record(0, 2));
  EXPECT_EQ(answer_to(1).outcome, Outcome::overloaded);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
  EXPECT_EQ(stats_->backend_requests.get(), 1u);
  EXPECT_TRUE(first.nobody_waits());
}

TEST_F(FcgiPoolHandover, RetriedRequestKeepsAwayFromTheServerThatDidNotTakeIt) {
  FakeServer& first = add_server(Kind::unix, 1000);
  FakeServer& second = add_server(Kind::unix, 1, 0);
  UniqueFd filler(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(filler.get(), reinterpret_cast<const sockaddr*>(&second.address().raw),
                    second.address().raw_bytes),
            0);
  start();
  submit(1);
  FakeConnection a = first.accept();
  a.read_request();
  a.write(end_record(0, 2));
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_retried.get() == 1; }));
  Luggage luggage = pack();
  ASSERT_EQ(waiting().queue.size(), 1u);
  EXPECT_EQ(waiting().queue[0].avoid, first.address().text);
  EXPECT_TRUE(waiting().queue[0].retried);
  leave();
  ASSERT_TRUE(unpack(std::move(luggage)));
  pass(0);
  second.accept();  // the filler
  pass(100);
  FakeConnection b = second.accept();
  serve(b, 1);
  EXPECT_TRUE(first.nobody_waits());
  EXPECT_EQ(stats_->backend_requests.get(), 1u);
}

TEST_F(FcgiPoolHandover, ChildThatEndsAsWeSendIsReplacedAfterTheMove) {  // R4
  FakeServer& server = add_server(Kind::unix);
  start();
  FakeConnection ending = idle_connection(server);
  submit(1, "body");
  ending.read_request();
  move();
  ending.end_output();
  FakeConnection next = server.accept();
  EXPECT_EQ(next.read_request().body, "body");
  move();
  next.end_output();  // here it is no leftover of an earlier one
  EXPECT_EQ(answer_to(1).outcome, Outcome::lost);
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

TEST_F(FcgiPoolHandover, TcpServerThatEndedBeforeOurBytesCameIsTriedAgain) {  // R3
  FakeServer& server = add_server(Kind::tcp);
  start();
  submit(1, "body");
  FakeConnection ended = server.accept_behind_its_back();
  ended.close();
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connects.get() >= 1; }));
  ASSERT_EQ(pool_->carried().size(), 1u) << "it has not noticed";
  move();
  FakeConnection next = server.accept();
  EXPECT_EQ(next.read_request().body, "body");
  next.write(answer("done"));
  EXPECT_EQ(answer_to(1).body, "done");
  EXPECT_EQ(stats_->backend_retried.get(), 1u);
}

// ---- servers that are down, answers not yet told

TEST_P(FcgiPoolMoves, SuccessorLearnsAnewThatAServerIsDown) {
  start();
  server_.stop();
  submit(1);
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_connect_errors.get() >= 1; }));
  for (int n = 0; n < 3; ++n) move();
  EXPECT_TRUE(inbox_.answers.empty());
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::no_server);
  EXPECT_FALSE(answer_to(1).may_have_run);
  EXPECT_EQ(stats_->backend_failed.get(), 1u);
  expect_quiet();
}

TEST_F(FcgiPoolHandover, BackOffOfTheOtherServerIsForgottenAndCostsOneConnectAtMost) {
  FakeServer& gone = add_server(Kind::unix, 1000);
  FakeServer& other = add_server(Kind::unix, 1);
  start();
  gone.stop();
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) {
    submit(ticket);
    FakeConnection connection = other.accept();
    connection.read_request();
    move();
    connection.write(answer("x"));
    EXPECT_EQ(answer_to(ticket).body, "x");
  }
  EXPECT_EQ(stats_->backend_connect_errors.get(), 3u);
  EXPECT_EQ(stats_->backend_requests.get(), 3u);
}

TEST_F(FcgiPoolHandover, AnswerThatItsCallerHasNotHeardIsTold) {
  FakeServer& server = add_server(Kind::unix);
  start();
  server.stop();
  submit(1);
  pass(backend_.connect_timeout_ms);
  ASSERT_EQ(answer_to(1).outcome, Outcome::no_server);
  submit(2);  // known to be down: answered, but not inside submit()
  ASSERT_EQ(waiting().done.size(), 1u);
  uint64_t failed = stats_->backend_failed.get();
  move();
  EXPECT_EQ(answer_to(2).outcome, Outcome::no_server);
  EXPECT_EQ(stats_->backend_failed.get(), failed) << "counted before";
  expect_quiet();
}

TEST_F(FcgiPoolHandover, EveryPartOfAnAnswerTravels) {
  add_server(Kind::unix);
  start();
  PoolRecord record;
  record.done.push_back({{request_bytes(5, "b"), "0123", true, 5},
                         {uint8_t(Outcome::answered), 418, {{"A", "b"}}, "tea", true}});
  Luggage luggage{save(record), {}};
  leave();
  ASSERT_TRUE(unpack(std::move(luggage)));
  EXPECT_EQ(pool_->in_flight(), 1u);
  Luggage again = pack();
  leave();
  ASSERT_TRUE(unpack(std::move(again)));
  pass(0);
  const Answer& got = answer_to(5);
  EXPECT_EQ(got.outcome, Outcome::answered);
  EXPECT_EQ(got.status, 418);
  EXPECT_EQ(got.header("a"), "b");
  EXPECT_EQ(got.body, "tea");
  EXPECT_TRUE(got.may_have_run);
}

// ---- callers and deadlines

TEST_P(FcgiPoolMoves, ReadTimeoutHasRunSinceTheLastSignOfLife) {
  start();
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  pass(backend_.read_timeout_ms - 1'000);
  move();
  EXPECT_TRUE(inbox_.answers.empty());
  pass(1'000);
  EXPECT_EQ(answer_to(1).outcome, Outcome::timed_out);
  EXPECT_TRUE(connection.ended());
  expect_quiet();
}

TEST_P(FcgiPoolMoves, WaitInTheQueueGoesOn) {
  start_with(1);
  submit(1);
  FakeConnection connection = server_.accept();
  connection.read_request();
  submit(2);
  pass(backend_.read_timeout_ms - 1'000);
  connection.write(stderr_record("alive\n"));
  ASSERT_TRUE(turn_until(loop_, [&] { return stats_->backend_stderr_lines.get() == 1; }));
  move();
  pass(1'000);
  EXPECT_EQ(answer_to(2).outcome, Outcome::overloaded);
  EXPECT_EQ(inbox_.answers.count(1), 0u);
  connection.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  expect_quiet();
}

TEST_P(FcgiPoolMoves, PoolThatIsNotTakenGoesOn) {
  start_with(2);
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) submit(ticket);
  FakeConnection first = server_.accept(), second = server_.accept();
  first.read_request();
  pack();  // the successor died
  pass(0);
  first.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  serve(second, 2);
  FakeConnection third = server_.accept();
  serve(third, 3);
  expect_quiet();
}

// ---- another configuration

TEST_F(FcgiPoolHandover, RequestAtAServerThatIsConfiguredNoMoreIsFinishedThere) {
  FakeServer& former = add_server(Kind::unix);
  start_with(1);
  submit(1);
  submit(2);
  FakeConnection connection = former.accept();
  connection.read_request();
  for (int n = 0; n < 2; ++n) {
    Luggage luggage = pack();
    leave();
    backend_.servers.clear();
    if (n == 0) add_server(Kind::unix);
    if (n == 1) backend_.servers.push_back({.address = servers_[1]->address(), .weight = 1});
    ASSERT_TRUE(unpack(std::move(luggage)));
    pass(0);
  }
  connection.write(answer("for 1"));
  EXPECT_EQ(answer_to(1).body, "for 1");
  for (uint64_t ticket = 2; ticket <= 5; ++ticket) {
    if (ticket > 2) submit(ticket);
    FakeConnection next = servers_[1]->accept();
    serve(next, ticket);
  }
  EXPECT_TRUE(former.nobody_waits());
  expect_quiet();
}

TEST_P(FcgiPoolMoves, SmallerShareAndQueueLoseNothing) {
  start_with(4);
  for (uint64_t ticket = 1; ticket <= 8; ++ticket) submit(ticket);
  std::deque<FakeConnection> under_way;
  for (int n = 0; n < 4; ++n) under_way.push_back(server_.accept());
  share_ = {1, 1};
  move();
  EXPECT_FALSE(submit(9)) << "the queue is more than full";
  for (uint64_t ticket = 1; ticket <= 8; ++ticket) {
    if (under_way.empty()) under_way.push_back(server_.accept());
    FakeConnection connection = std::move(under_way.front());
    under_way.pop_front();
    serve(connection, ticket);
  }
  EXPECT_EQ(inbox_.answers.size(), 8u);
  expect_quiet();
}

// ---- records of other versions, and nonsense

std::string field(uint16_t number, std::string_view value) {
  std::string out(reinterpret_cast<const char*>(&number), sizeof number);
  auto bytes = uint32_t(value.size());
  out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return out.append(value);
}

class FcgiPoolRecords : public FcgiPoolHandover {
 protected:
  FcgiPoolRecords() { start(); }
  // Makes a request of the bytes, at the other end of `far_`.
  bool take(std::string_view bytes) {
    CarriedRecord record;
    return load(bytes, record) && take(std::move(record));
  }
  bool take(CarriedRecord&& record) {
    int ends[2];
    HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    far_.emplace(loop_, UniqueFd(ends[1]));
    return pool_->restore(std::move(record), UniqueFd(ends[0]), &inbox_);
  }
  template <class F>
  bool taken_with(F&& change) {
    CarriedRecord record = carried_to(server_, 1, request_bytes(1, "b"));
    change(record);
    return take(save(record));
  }
  template <class F>
  bool pool_taken_with(F&& change) {
    PoolRecord record;
    record.queue.push_back({request_bytes(1, "b"), "0123", true, 1});
    record.done.push_back({{request_bytes(2, "b"), "0123", true, 2}, {}});
    change(record);
    PoolRecord again;
    bool restored = load(save(record), again) && pool_->restore(std::move(again), &inbox_);
    leave();
    start();
    return restored;
  }

  FakeServer& server_ = add_server(Kind::unix);
  std::optional<FakeConnection> far_;
};

TEST_F(FcgiPoolRecords, OlderOnesLackFieldsAndNewerOnesHaveMore) {
  uint8_t state = uint8_t(Connection::State::waiting), yes = 1;
  std::string all = request_bytes(1, "b");
  auto number = [](const auto& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  std::string exchange = field(1, all) + field(3, number(yes)) + field(4, number(uint64_t(77)));
  std::string old = field(1, exchange) + field(2, server_.address().text) +
                    field(3, number(state)) + field(8, number(uint16_t(all.size())));
  stats_->backend_connections.add(2);
  for (const std::string& bytes : {old, old + field(99, "of the future")}) {
    ASSERT_TRUE(take(bytes));
    EXPECT_EQ(pool_->in_flight(), 1u);
    far_->write(answer("x"));
    EXPECT_EQ(answer_to(77).body, "x");
    EXPECT_TRUE(far_->ended()) << "nobody has said that it is kept";
    inbox_.answers.clear();
  }
  EXPECT_FALSE(take(old + field(99 | handover::kNeeded, "without it the rest is wrong")));
  EXPECT_TRUE(pool_taken_with([](PoolRecord& r) { r = {}; }));
}

TEST_F(FcgiPoolRecords, RequestsThatMakeNoSenseAreRefused) {
  using State = Connection::State;
  stats_->backend_connections.add();
  EXPECT_TRUE(taken_with([](auto&) {}));
  leave();
  start();
  for (State state : {State::connecting, State::idle, State::gone, State(6), State(255)})
    EXPECT_FALSE(taken_with([&](auto& r) { r.state = uint8_t(state); })) << int(state);
  EXPECT_FALSE(taken_with([](auto& r) { r.sent = r.exchange.bytes.size() + 1; }));
  EXPECT_FALSE(taken_with([](auto& r) { r.sent = UINT64_MAX; }));
  EXPECT_FALSE(taken_with([](auto& r) { r.exchange.bytes.resize(kTerminatorBytes - 1); }));
  EXPECT_FALSE(taken_with([](auto& r) { r.server.clear(); }));
  EXPECT_FALSE(taken_with([](auto& r) { r.server = "nowhere at all"; }));
  EXPECT_FALSE(taken_with([](auto& r) { r.reader.part = 5; }));
  EXPECT_FALSE(taken_with([](auto& r) { r.reader.held = 9; }));
  EXPECT_EQ(pool_->in_flight(), 0u);
  EXPECT_TRUE(inbox_.answers.empty());
}

TEST_F(FcgiPoolRecords, PoolsThatMakeNoSenseAreRefused) {
  EXPECT_TRUE(pool_taken_with([](auto&) {}));
  EXPECT_FALSE(pool_taken_with([](auto& r) { r.queue[0].bytes.clear(); }));
  EXPECT_FALSE(pool_taken_with([](auto& r) { r.queue[0].bytes.resize(kTerminatorBytes - 1); }));
  EXPECT_FALSE(pool_taken_with([](auto& r) { r.done[0].answer.outcome = 8; }));
  EXPECT_FALSE(pool_taken_with([](auto& r) { r.done[0].answer.outcome = 255; }));
}

TEST_F(FcgiPoolRecords, CutOffOnesAreRefusedOrLackTheirLastFields) {
  std::string good = save(carried_to(server_, 1, request_bytes(1, "b")));
  stats_->backend_connections.add(1'000);
  int taken = 0;
  for (size_t cut = 0; cut < good.size(); ++cut) {
    taken += take(std::string_view(good).substr(0, cut));
    leave();
    start();
  }
  EXPECT_GT(taken, 0) << "fields that are not there are zero";
  EXPECT_LT(taken, 12) << "a field cut in two is none";
  EXPECT_TRUE(inbox_.answers.empty());
}

TEST_F(FcgiPoolRecords, ReaderStatesThatCannotBeAreRefused) {
  EXPECT_FALSE(taken_with(
      [](auto& r) { r.reader = {.part = 1, .type = 3, .held = 8, .content_left = 60'000}; }));
  EXPECT_FALSE(taken_with([](auto& r) { r.reader = {.part = 2, .type = 6, .content_left = 5}; }));
}

TEST_F(FcgiPoolRecords, RequestsTooShortForTheirFlagsAreRefused) {
  // set_keep_connection() writes byte 10; kTerminatorBytes is 8.
  EXPECT_FALSE(pool_taken_with([](auto& r) { r.queue[0].bytes.resize(kTerminatorBytes); }));
}

}  // namespace
}  // namespace holdfast::fcgi
