#include "worker/observe/tracer.h"

#include "tests/unit/routing/router_fixture.h"

namespace holdfast {
namespace {

class TracerTest : public RouterTest {
 protected:
  uint64_t start(TraceSubject subject) {
    return here_.tracer.start(std::move(subject),
                              [this](std::string_view line) { lines_.emplace_back(line); });
  }
  // Both workers know of the trace.
  bool known(uint64_t traces = 1) {
    return both_turn_until([&] {
      return here_.runtime.stats.traces.get() == traces &&
             there_.runtime.stats.traces.get() == traces;
    });
  }
  size_t lines_with(std::string_view text) {
    return size_t(std::count_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    }));
  }

  std::vector<std::string> lines_;
};

TEST_F(TracerTest, NobodyTracedCostsNothing) {
  EXPECT_FALSE(here_.tracer.on());
  here_.hub.join(here_.open_session(), "room");
  execute(publish("room", "x"));
  EXPECT_EQ(stats().trace_lines.get(), 0u);
}

TEST_F(TracerTest, TellsOfASessionOnAnotherWorker) {
  Session& far = there_.open_session();
  shm::SessionId id = far.id;
  Session& other = there_.open_session();
  start({.kind = TraceKind::session, .session = id});
  ASSERT_TRUE(known());
  execute({.op = Op::bind, .sessions = {far.id}, .users = {"ann"}});
  ASSERT_TRUE(answered());
  execute({.op = Op::join, .sessions = {far.id, other.id}, .channels = {"room"}});
  ASSERT_TRUE(answered());
  execute(publish("room", "news"));
  ASSERT_TRUE(answered());
  execute({.op = Op::kick, .code = 4000, .sessions = {far.id}, .reason = "out"});
  ASSERT_TRUE(both_turn_until([&] { return lines_with(R"("event":"close")") == 1; }));
  ASSERT_EQ(lines_.size(), 5u);
  for (const std::string& line : lines_) EXPECT_NE(line.find(id.hex()), std::string::npos) << line;
  EXPECT_EQ(lines_with(R"("event":"bind")"), 1u);
  EXPECT_EQ(lines_with(R"("event":"join","session":")" + id.hex() +
                       R"(","user":"ann","channel":"room"})"),
            1u);
  EXPECT_EQ(lines_with(R"("event":"deliver")"), 1u);
  EXPECT_EQ(lines_with(R"("bytes":4)"), 1u);
  EXPECT_EQ(lines_with(R"("event":"kick")"), 1u);
}

TEST_F(TracerTest, TellsOfAChannelAndOfAUserOnAllWorkers) {
  start({.kind = TraceKind::channel, .name = "room"});
  start({.kind = TraceKind::user, .name = "ann"});
  ASSERT_TRUE(known(2));
  for (test::Room* room : {&here_, &there_}) {
    Session& session = room->open_session();
    execute({.op = Op::join, .sessions = {session.id}, .channels = {"room"}});
    ASSERT_TRUE(answered());
    room->sessions.set_user(session, "ann");
  }
  execute(publish("room", "news"));
  ASSERT_TRUE(answered());
  execute({.op = Op::send_user, .users = {"ann"}, .data = "hello"});
  ASSERT_TRUE(answered());
  ASSERT_TRUE(both_turn_until([&] { return lines_with(R"("bytes":5)") == 4; }));
  EXPECT_EQ(lines_with(R"("event":"join")"), 2u);
  EXPECT_EQ(lines_with(R"("event":"publish","channel":"room","bytes":4)"), 2u);
  EXPECT_EQ(lines_with(R"("event":"bind")"), 2u);
  EXPECT_EQ(lines_with(R"("event":"send-user","user":"ann","bytes":5)"), 2u);
}

TEST_F(TracerTest, EndsWithItsAskerAndWithItsLease) {
  Session& far = there_.open_session();
  uint64_t token = start({.kind = TraceKind::session, .session = far.id});
  ASSERT_TRUE(known());
  here_.tracer.stop(token);
  EXPECT_EQ(stats().traces.get(), 0u);
  there_.pass(Tracer::kLeaseMs + 200);
  EXPECT_FALSE(there_.tracer.on());
  EXPECT_EQ(there_.runtime.stats.traces.get(), 0u);
  there_.sessions.set_user(far, "ann");
  here_.turn();
  EXPECT_EQ(lines_.size(), 0u);
}

TEST_F(TracerTest, LeaseIsRenewedWhileAsked) {
  Session& far = there_.open_session();
  start({.kind = TraceKind::session, .session = far.id});
  ASSERT_TRUE(known());
  for (int second = 0; second < 10; ++second) {
    here_.pass(Tracer::kRenewMs);
    here_.turn();
    there_.pass(Tracer::kRenewMs);
  }
  EXPECT_TRUE(there_.tracer.on());
}

TEST_F(TracerTest, LinesBeyondTheBoundAreCountedAndSaid) {  // I2
  Session& near = here_.open_session();
  start({.kind = TraceKind::session, .session = near.id});
  ASSERT_TRUE(known());
  size_t many = Tracer::kTurnLines + 7;
  for (size_t i = 0; i < many; ++i) here_.sessions.set_data(near, {{"k", "v"}}, true);
  EXPECT_EQ(lines_.size(), size_t{Tracer::kTurnLines});
  EXPECT_EQ(stats().trace_dropped.get(), 7u);
  here_.tracer.tick();
  EXPECT_EQ(lines_with(R"("event":"lost","lines":7)"), 1u);
  here_.sessions.set_data(near, {{"k", "v"}}, true);
  EXPECT_EQ(lines_.size(), Tracer::kTurnLines + 2u);
}

TEST_F(TracerTest, OneTooManyIsRefused) {  // I1
  for (size_t i = 0; i < Tracer::kMaxTraces; ++i)
    EXPECT_NE(start({.kind = TraceKind::channel, .name = "room"}), 0u);
  EXPECT_EQ(start({.kind = TraceKind::channel, .name = "room"}), 0u);
}

TEST_F(TracerTest, RecordsThatMakeNoSenseAreCounted) {
  there_.router.post().send(0, RecordKind::watch, "short");
  there_.router.post().send(0, RecordKind::line, "short");
  EXPECT_TRUE(both_turn_until([&] { return stats().push_bad_record.get() == 2; }));
}

}  // namespace
}  // namespace holdfast
