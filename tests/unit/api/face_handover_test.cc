// API connections that move to another process of their slot: what is said and
// heard on them is the same. Both processes are rooms of this one; the records
// pass through their bytes. A session lives in a worker beside them, so that
// every push and every answer takes the way through the mailboxes.
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "tests/unit/room.h"
#include "worker/api/connection.h"
#include "worker/api/http/face.h"
#include "worker/api/http/record.h"
#include "worker/api/record.h"
#include "worker/api/resp/face.h"
#include "worker/api/resp/record.h"
#include "worker/api/router/face.h"
#include "worker/handover/slot_records.h"
#include "worker/net/shelf.h"
#include "worker/observe/trace_record.h"

namespace holdfast {
namespace {

using test::Peer;

template <class Face>
std::unique_ptr<api::Face> make(const api::ApiContext& context, api::Wire& wire) {
  return std::make_unique<Face>(context, wire);
}

// What serves slot 0.
struct Process {
  Process(test::Instance& instance, const conf::Config& config, const conf::Api& conf,
          ApiHome::MakeFace face, bool standby)
      : room(instance, 0, config, standby),
        home(room.runtime, room.connections,
             {&room.config, &conf, &instance.segment, 0, &room.router, &room.runtime.stats,
              &room.runtime.draining, &room.hub, &room.tracer, &complaints},
             face) {}
  ~Process() { room.connections.clear(); }  // before their home

  LogGate complaints;
  test::Room room;
  ApiHome home;
};

// What came of the bytes of one connection, here and beside.
struct Told {
  std::string answers, heard;
  std::map<std::string, uint64_t> counted;
  bool operator==(const Told&) const = default;
};

class FaceHandover : public ::testing::Test {
 protected:
  FaceHandover() { other_.open_session(); }

  void serve(ApiHome::MakeFace face) {
    face_ = face;
    process_ = std::make_unique<Process>(instance_, config_, api_, face_, false);
  }
  Peer connect() {
    auto [near, far] = test::socket_pair();
    auto made = std::make_unique<ApiConnection>(process_->home, std::move(near));
    ApiConnection& started = *made;
    room().connections.add(std::move(made));
    started.start();
    return {std::move(far), nullptr};
  }
  void turn(int times = 1) {
    for (int i = 0; i < times; ++i) {
      room().turn();
      other_.turn();
    }
  }
  // Does not wait where a few turns are enough.
  bool turn_until(const std::function<bool()>& done) {
    for (int i = 0; i < 50; ++i, turn())
      if (done()) return true;
    return test::eventually([&] { return turn(), done(); });
  }

  // Another process takes over everything of process_, and is process_
  // afterwards.
  void move() {
    process_->home.hold(true);
    ASSERT_TRUE(turn_until([&] { return process_->home.settled(); }));
    room().loop.bury();
    auto to = std::make_unique<Process>(instance_, config_, api_, face_, true);
    to->room.later_ms = room().later_ms;
    to->room.runtime.now_ms = room().runtime.now_ms;
    std::string before = picture();
    move_router(to->room);
    move_connections(*to);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_TRUE(picture() == before) << "written before the slot is taken";
    end_without_destructors(std::exchange(process_, std::move(to)));
    ASSERT_TRUE(room().sessions.take_over());
    room().connections.for_each([](Connection& connection) { connection.resume(); });
  }
  void move_router(test::Room& to) {
    handover::SlotRecord slot, taken;
    slot.letters = room().router.post().save();
    slot.tracer = handover::save(room().tracer.save());
    ASSERT_TRUE(handover::load(handover::save(slot), taken));
    ASSERT_TRUE(to.router.post().restore(std::move(taken.letters)));
    handover::TracerRecord tracer;
    ASSERT_TRUE(handover::load(taken.tracer, tracer));
    ASSERT_TRUE(to.tracer.restore(std::move(tracer)));
  }
  void move_connections(Process& to) {
    handover::Shelf from_shelf, to_shelf;
    room().runtime.shelf = &from_shelf;
    to.room.runtime.shelf = &to_shelf;
    room().connections.for_each([&](Connection& connection) {
      handover::ApiRecord record;
      std::string bytes = handover::save(static_cast<ApiConnection&>(connection).save());
      ASSERT_TRUE(handover::load(bytes, record));
      for (const auto& [number, buffer] : from_shelf.take_new())
        to_shelf.keep(number, BufferRef::concat(buffer.bytes()));
      if (change_) change_(record);
      auto moved =
          ApiConnection::restore(to.home, UniqueFd(dup(connection.fd())), std::move(record));
      ASSERT_NE(moved, nullptr);
      to.room.connections.restore(std::move(moved));
    });
    room().runtime.shelf = to.room.runtime.shelf = nullptr;
  }
  // All of the segment.
  std::string_view memory() const {
    const shm::Header& header = instance_.segment.header();
    return {reinterpret_cast<const char*>(&header), header.total_bytes};
  }
  std::string picture() const { return std::string(memory()); }
  // Processes that have handed over write nothing more: what destructors do is
  // undone.
  void end_without_destructors(std::unique_ptr<Process> left) {
    std::string before = picture();
    left.reset();
    std::memcpy(const_cast<char*>(memory().data()), before.data(), before.size());
  }

  // Says all of it on a connection of its own, and moves behind each byte that
  // `moves` names.
  template <class Moves>
  Told converse(const std::string& bytes, Moves&& moves) {
    auto before = counts();
    size_t heard = other_.others[0].received().size();
    Peer peer = connect();
    size_t sent = 0;
    for (size_t at = 1; at < bytes.size() && !HasFatalFailure(); ++at) {
      if (!moves(at)) continue;
      peer.send(std::string_view(bytes).substr(sent, at - sent));
      sent = at;
      turn(2);
      move();
    }
    peer.send(std::string_view(bytes).substr(sent));
    EXPECT_TRUE(turn_until([&] { return peer.at_end(); })) << peer.received();
    turn(3);  // what has no answer is heard all the same
    Told told{peer.received(), other_.others[0].received().substr(heard), counts()};
    for (auto& [name, count] : told.counted) count -= before[name];
    peer.close();
    EXPECT_TRUE(turn_until([&] { return room().connections.size() == 0; }));
    expect_nothing_left();
    return told;
  }
  std::map<std::string, uint64_t> counts() {
    return {{"requests", stats().api_requests.get()},
            {"errors", stats().api_errors.get()},
            {"bad input", stats().api_bad_input.get()},
            {"unauthorized", stats().api_unauthorized.get()},
            {"forbidden", stats().api_forbidden.get()},
            {"messages", stats().resp_messages.get()}};
  }
  void expect_nothing_left() {
    EXPECT_EQ(stats().connections_open.get(), 0u);
    EXPECT_EQ(stats().bytes_unsent.get(), 0u);
    EXPECT_EQ(stats().resp_subscribers.get(), 0u);
    EXPECT_EQ(stats().subscriptions.get(), 0u);
    EXPECT_EQ(stats().channels_local.get(), 0u);
    EXPECT_EQ(stats().mailbox_overflow_bytes.get(), 0u);
  }
  // The same, whether the connection stays, moves once, anywhere, or after
  // every byte.
  template <class Normal>
  void expect_told_the_same(const std::string& bytes, Normal&& normal) {
    Told unmoved = normal(converse(bytes, [](size_t) { return false; }));
    ASSERT_FALSE(unmoved.counted.empty());
    EXPECT_EQ(normal(converse(bytes, [](size_t) { return true; })), unmoved);
    for (size_t cut = 1; cut < bytes.size() && !HasFailure(); ++cut)
      ASSERT_EQ(normal(converse(bytes, [&](size_t at) { return at == cut; })), unmoved)
          << "moved after byte " << cut;
  }

  test::Room& room() { return process_->room; }
  shm::StatsBlock& stats() { return instance_.segment.stats(0); }
  Session& session() { return *other_.session_of(other_.others[0]); }
  std::string session_id() { return session().id.hex(); }
  // What the connection's face is told to be.
  template <class Record>
  Record face_of_the_only_one() {
    Record record;
    room().connections.for_each([&](Connection& connection) {
      EXPECT_TRUE(handover::load(static_cast<ApiConnection&>(connection).save().face, record));
    });
    return record;
  }

  test::Instance instance_{16 * 1024};
  conf::Config config_;
  conf::Api api_;
  test::Room other_{instance_, 1};
  ApiHome::MakeFace face_ = nullptr;
  std::function<void(handover::ApiRecord&)> change_;  // what a record is made on its way
  std::unique_ptr<Process> process_;
};

void PrintTo(const Told& told, std::ostream* out) {
  *out << told.answers << "\n-- heard: " << told.heard << "-- counted:";
  for (const auto& [name, count] : told.counted) *out << ' ' << name << ' ' << count;
}

// ---- HTTP

std::string post(std::string_view path, std::string_view body, std::string_view more = {}) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}", path, more,
                     body.size(), body);
}

constexpr std::string_view k100 = "HTTP/1.1 100 Continue\r\n\r\n";

// Whether "100 Continue" is sent depends on what has come of the body.
Told without_100(Told told) {
  for (size_t at; (at = told.answers.find(k100)) != std::string::npos;)
    told.answers.erase(at, k100.size());
  return told;
}

class HttpHandover : public FaceHandover {
 protected:
  HttpHandover() { serve(make<api::HttpFace>); }
};

TEST_F(HttpHandover, PushesAndChangesComeToTheSame) {
  std::string id = session_id();
  expect_told_the_same(post("/v1/join", R"({"sessions":[")" + id + R"("],"channels":["c"]})") +
                           post("/v1/publish", R"({"channels":["c"],"data":"one"})") +
                           post("/v1/leave", R"({"sessions":[")" + id + R"("],"channels":["c"]})") +
                           post("/v1/publish", R"({"channels":["c"],"data":"to nobody"})") +
                           post("/v1/send", R"({"sessions":[")" + id + R"("],"data":"two"})") +
                           "GET /v1/channels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" +
                           "GET /healthz HTTP/1.1\r\nHost: behind the end\r\n\r\n",
                       [](Told told) {
                         EXPECT_EQ(told.heard, "one\ntwo\n");
                         return told;
                       });
}

TEST_F(HttpHandover, BodiesInChunksComeToTheSame) {
  std::string chunked =
      "\r\nPOST /v1/send-all HTTP/1.1\r\nHost:x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"
      "1;a=b\r\n{\r\n00a;\r\n\"data\":\"on\r\n3\r\ne\"}\r\n0\r\nX-T: 1\r\nX-U: "
      "2\r\n\r\n";
  expect_told_the_same(chunked + chunked.substr(2) +
                           "HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                       [](Told told) {
                         EXPECT_EQ(told.heard, "one\none\n");
                         return told;
                       });
}

TEST_F(HttpHandover, BodyThatWaitsForContinueIsAskedForOnce) {
  std::string all = post("/v1/send-all", R"({"data":"one"})", "Expect: 100-continue\r\n") +
                    "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  expect_told_the_same(all, without_100);
  Told bytewise = converse(all, [](size_t) { return true; });
  EXPECT_EQ(bytewise.answers.find(k100), 0u);
  EXPECT_EQ(without_100(bytewise).answers.size(), bytewise.answers.size() - k100.size());
}

TEST_F(HttpHandover, BatchIsCarriedOutOnce) {
  std::string id = session_id();
  std::string batch = R"({"commands":[{"op":"send","sessions":[")" + id + R"("],"data":"one"},)" +
                      R"({"op":"join","sessions":[")" + id + R"("],"channels":["c"]},)" +
                      R"({"op":"publish","channels":["c"],"data":"two"},)" +
                      R"({"op":"leave","sessions":[")" + id + R"("],"channels":["c"]}]})";
  expect_told_the_same(
      post("/v1/batch", batch) + "GET /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      [](Told told) {
        EXPECT_EQ(told.heard, "one\ntwo\n");
        return told;
      });
}

TEST_F(HttpHandover, TokensAreJudgedWithEveryRequest) {
  api_.tokens = {{"secret", conf::kScopePush}};
  auto with = [](std::string_view token) {
    return fmt::format("Authorization: Bearer {}\r\n", token);
  };
  expect_told_the_same(
      post("/v1/send-all", R"({"data":"one"})", with("secret")) +
          post("/v1/send-all", R"({"data":"no"})", with("Secret")) +
          "GET /v1/users HTTP/1.1\r\nHost: x\r\n" + with("secret") + "\r\n" +
          post("/v1/send-all", R"({"data":"two"})", with("secret") + "Connection: close\r\n"),
      [](Told told) {
        EXPECT_EQ(told.heard, "one\ntwo\n");
        EXPECT_EQ(told.counted["unauthorized"], 1u);
        EXPECT_EQ(told.counted["forbidden"], 1u);
        return told;
      });
}

TEST_F(HttpHandover, WhatIsNoRequestEndsIt) {
  auto refused = [](Told told) {
    EXPECT_EQ(told.counted["bad input"], 1u);
    return told;
  };
  expect_told_the_same(
      post("/v1/send-all", "no JSON") + "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", refused);
  expect_told_the_same("\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", refused);
}

// More than a turn takes, from one who has ended its side: what is left is
// pending.
TEST_F(HttpHandover, PipelinedRequestsOfOneWhoEndedItsSideAreAllAnswered) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  Peer peer = connect();
  peer.send(many);
  peer.end_output();
  for (int moves = 0; moves < 10; ++moves) {
    turn();
    move();
  }
  ASSERT_TRUE(turn_until([&] { return peer.at_end(); }));
  size_t answers = 0;
  for (size_t at = 0; (at = peer.received().find("HTTP/1.1 200", at)) != std::string::npos; ++at)
    ++answers;
  EXPECT_EQ(answers, 200u);
  EXPECT_EQ(stats().api_requests.get(), 200u);
}

TEST_F(HttpHandover, LongAnswersReachOneWhoReadsLate) {
  std::string get = "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n", many;
  for (int i = 0; i < 7; ++i) many += get + "\r\n";
  many += get + "Connection: close\r\n\r\n";
  auto answers = [&](int moves) {
    Peer peer = connect();
    peer.send(many);
    turn(5);
    for (int i = 0; i < moves; ++i) {
      EXPECT_GT(stats().bytes_unsent.get(), 30'000u);
      uint64_t unsent = stats().bytes_unsent.get();
      move();
      EXPECT_EQ(stats().bytes_unsent.get(), unsent);
      turn();
    }
    EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
    return peer.received();
  };
  std::string unmoved = answers(0);
  EXPECT_GT(unmoved.size(), 400'000u);
  EXPECT_TRUE(answers(1) == unmoved);
  EXPECT_TRUE(answers(3) == unmoved);
}

// The answer waits in the connection's row, and no row moves.
TEST_F(HttpHandover, RequestUnderWayIsAnsweredFirst) {
  Peer peer = connect();
  peer.send(
      "GET /v1/users HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz "
      "HTTP/1.1\r\nHost: x\r\n\r\n");
  room().turn();
  process_->home.hold(true);
  room().turn();
  EXPECT_FALSE(process_->home.settled());
  EXPECT_EQ(peer.received(), "");
  move();
  EXPECT_TRUE(turn_until([&] {
    return peer.received().find("\"users\"") < peer.received().find("\"status\"") &&
           peer.received().ends_with(R"({"status":"ok"})");
  })) << peer.received();
  EXPECT_EQ(stats().api_requests.get(), 2u);
}

// What comes meanwhile waits, and is answered in its order by whoever has the slot.
TEST_F(HttpHandover, ConnectionsGoOnWhereNobodyTakesThem) {
  std::string get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  Peer peer = connect();
  peer.send(get.substr(0, 20));
  turn(2);
  process_->home.hold(true);
  peer.send(get.substr(20) + get);
  peer.end_output();
  turn(3);
  EXPECT_EQ(peer.received(), "");
  room().pass(40'000);
  EXPECT_FALSE(peer.at_end()) << "nobody is late while nothing is read";
  process_->home.hold(false);
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(stats().api_requests.get(), 2u);
  EXPECT_TRUE(peer.received().ends_with(R"({"status":"ok"})"));
}

// ---- trace streams

constexpr std::string_view kTrace = "GET /v1/trace?channel=c HTTP/1.1\r\nHost: x\r\n\r\n";

// The numbers of bytes that the lines tell of: "1 2 3 ".
std::string traced(const std::string& bytes) {
  static const std::regex kBytes(R"re("bytes":([0-9]+))re");
  std::string numbers;
  for (std::sregex_iterator it(bytes.begin(), bytes.end(), kBytes), end; it != end; ++it)
    numbers += (*it)[1].str() + " ";
  return numbers;
}

class TraceHandover : public HttpHandover {
 protected:
  // A message of so many bytes, from the worker beside.
  void publish(size_t bytes) {
    Command command;
    command.op = Op::publish;
    command.channels = {"c"};
    command.data = std::string(bytes, 'x');
    other_.router.execute(command, {});
  }
};

TEST_F(TraceHandover, NoLineIsLostOrTwice) {
  other_.sessions.join(session(), "c");
  Peer peer = connect();
  for (char byte : kTrace) {
    peer.send({&byte, 1});
    turn();
    move();
  }
  ASSERT_TRUE(turn_until([&] { return peer.received().find("\r\n\r\n") != std::string::npos; }));
  turn(2);
  publish(0);
  ASSERT_TRUE(turn_until([&] { return traced(peer.received()).starts_with("0 "); }));
  std::string once = traced(peer.received()), expected = once;
  for (size_t n = 1; n <= 30; ++n) {
    publish(n);
    if (n % 3 == 1) other_.turn();  // the line is in the mailbox
    if (n % 3 == 2) turn(2);        // it has gone
    move();
    for (size_t at = 0; (at = once.find("0", at)) != std::string::npos; ++at)
      expected += std::to_string(n) + " ";
  }
  EXPECT_TRUE(turn_until([&] { return traced(peer.received()) == expected; }))
      << traced(peer.received()) << " not " << expected;
  room().pass(5'000);  // beyond the lease
  other_.pass(1'000);
  turn(3);
  publish(1'000);
  EXPECT_TRUE(turn_until([&] { return traced(peer.received()).ends_with("1000 "); }))
      << "the successor renews it";
  room().connections.for_each([](Connection& c) { c.wind_up(WindUp::all); });
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().ends_with("\r\n0\r\n\r\n"));
}

TEST_F(TraceHandover, EndsWithItsConnectionInTheSuccessor) {
  Peer peer = connect();
  peer.send(kTrace);
  ASSERT_TRUE(turn_until([&] { return !peer.received().empty(); }));
  EXPECT_EQ(stats().traces.get(), 1u);
  move();
  EXPECT_EQ(stats().traces.get(), 1u);
  EXPECT_TRUE(room().tracer.on());
  peer.close();
  EXPECT_TRUE(turn_until([&] { return stats().traces.get() == 0; }));
  EXPECT_FALSE(room().tracer.on());
}

TEST_F(TraceHandover, LostLinesAreToldByTheSuccessor) {
  other_.sessions.join(session(), "c");
  Peer peer = connect();
  peer.send(kTrace);
  ASSERT_TRUE(turn_until([&] { return !peer.received().empty(); }));
  turn(2);
  change_ = [](handover::ApiRecord& record) {
    handover::HttpRecord face;
    ASSERT_TRUE(handover::load(record.face, face));
    face.trace->lost = 7;
    record.face = handover::save(face);
  };
  move();
  change_ = nullptr;
  move();
  publish(5);
  ASSERT_TRUE(turn_until([&] { return !traced(peer.received()).empty(); }));
  size_t lost = peer.received().find(R"("event":"lost","lines":7})");
  ASSERT_NE(lost, std::string::npos) << peer.received();
  EXPECT_LT(lost, peer.received().find("\"bytes\":5"));
  EXPECT_EQ(peer.received().find("\"lost\"", lost + 20), std::string::npos) << "once";
}

// ---- RESP

class RespHandover : public FaceHandover {
 protected:
  RespHandover() { serve(make<api::RespFace>); }
  // Each connection has a number of its own.
  static Told without_id(Told told) {
    static const std::regex kId("\r\n\\$2\r\nid\r\n:([0-9]+)\r\n");
    std::smatch found;
    if (!std::regex_search(told.answers, found, kId)) return told;
    std::string id = found[1];
    for (size_t at; (at = told.answers.find(id)) != std::string::npos;)
      told.answers.replace(at, id.size(), "ID");
    return told;
  }
  void publish(const std::string& channel, std::string data) {
    Command command;
    command.op = Op::publish;
    command.channels = {channel};
    command.data = std::move(data);
    room().router.execute(command, {});
  }
  std::string message(int version, std::string_view channel, std::string_view data) const {
    return fmt::format("{}3\r\n$7\r\nmessage\r\n${}\r\n{}\r\n${}\r\n{}\r\n",
                       version == 3 ? '>' : '*', channel.size(), channel, data.size(), data);
  }
};

TEST_F(RespHandover, CommandsComeToTheSame) {
  std::string id = session_id();
  expect_told_the_same("PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n\r\n*0\r\nHF.JOIN c " + id +
                           "\r\nPUBLISH c "
                           "one\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$3\r\ntwo\r\nHF.LEAVE c " +
                           id + "\r\nPUBLISH c no\r\nNOSUCH\r\nPUBLISH\r\nHF.SEND " + id +
                           " \"th\\x72ee\"\r\nPUBSUB CHANNELS\r\nQUIT\r\nPING\r\n",
                       [](Told told) {
                         EXPECT_EQ(told.heard, "one\ntwo\nthree\n");
                         return told;
                       });
}

TEST_F(RespHandover, WhatTheConnectionHasSaidIsKept) {
  api_.tokens = {{"secret", conf::kScopePush}, {"other"}};
  expect_told_the_same(
      "PING\r\nHELLO\r\nAUTH wrong\r\nAUTH secret\r\nPING\r\nPUBSUB NUMPAT\r\n"
      "HELLO 3 SETNAME me\r\nCLIENT ID\r\nCLIENT GETNAME\r\nCLIENT SETNAME "
      "you\r\n"
      "HF.SENDALL one\r\nHELLO 2\r\nCLIENT GETNAME\r\nRESET\r\nPING\r\n"
      "HELLO 3 AUTH u other\r\nPUBSUB NUMPAT\r\nCLIENT GETNAME\r\nQUIT\r\n",
      [](Told told) {
        EXPECT_EQ(told.heard, "one\n");
        EXPECT_EQ(told.counted["unauthorized"], 4u);
        EXPECT_EQ(told.counted["forbidden"], 1u);
        return without_id(std::move(told));
      });
}

TEST_F(RespHandover, SubscriptionsComeToTheSameInBothVersions) {
  for (std::string_view hello : {"", "HELLO 3\r\n"})
    expect_told_the_same(std::string(hello) +
                             "SUBSCRIBE a b a\r\nPUBLISH a hi\r\nPING\r\nPSUBSCRIBE a*\r\n"
                             "UNSUBSCRIBE zz a\r\nUNSUBSCRIBE\r\nPUBLISH a no\r\n"
                             "SUBSCRIBE a c\r\nQUIT\r\n",
                         [&](Told told) {
                           EXPECT_EQ(told.counted["messages"], hello.empty() ? 0u : 2u);
                           return without_id(std::move(told));
                         });
}

TEST_F(RespHandover, PatternsAndShardedChannelsComeToTheSame) {
  expect_told_the_same(
      "HELLO 3\r\nPSUBSCRIBE a* b*\r\nSSUBSCRIBE a\r\nPUBLISH ab 1\r\nSPUBLISH a 2\r\n"
      "PUNSUBSCRIBE a*\r\nPUBLISH ab no\r\nPUBLISH ba 3\r\nSUNSUBSCRIBE\r\nSPUBLISH a no\r\n"
      "PUBSUB NUMPAT\r\nQUIT\r\n",
      [](Told told) {
        EXPECT_EQ(told.counted["messages"], 3u);
        return without_id(std::move(told));
      });
}

TEST_F(RespHandover, WhatIsQueuedIsCarriedOutByTheSuccessor) {
  std::string id = session_id();
  expect_told_the_same("MULTI\r\nHF.JOIN c " + id +
                           "\r\nPUBLISH c one\r\nEXEC\r\nPUBLISH c two\r\n" +
                           "MULTI\r\nPUBLISH c no\r\nNOSUCH\r\nPUBLISH c no\r\nEXEC\r\n" +
                           "MULTI\r\nPUBLISH c no\r\nDISCARD\r\nMULTI\r\nPUBLISH c no\r\nQUIT\r\n",
                       [](Told told) {
                         EXPECT_EQ(told.heard, "one\ntwo\n");
                         return told;
                       });
}

TEST_F(RespHandover, WhatIsPassedOverStaysSo) {
  api_.max_body = 100;
  expect_told_the_same("PING\r\n*3\r\n$7\r\nPUBLISH\r\n$120\r\n" + std::string(120, 'x') +
                           "\r\n$1\r\ny\r\nHF.SENDALL z\r\nQUIT\r\n",
                       [](Told told) {
                         EXPECT_EQ(told.heard, "z\n");
                         EXPECT_EQ(told.counted["bad input"], 0u);
                         return told;
                       });
}

TEST_F(RespHandover, AStreamThatMakesNoSenseEndsIt) {
  expect_told_the_same("SUBSCRIBE a\r\n*2\r\n$4\r\nPING\r\n$x\r\nPING\r\n", [](Told told) {
    EXPECT_TRUE(told.answers.ends_with("-ERR Protocol error: invalid bulk length\r\n"));
    EXPECT_EQ(told.counted["bad input"], 1u);
    return told;
  });
}

TEST_F(RespHandover, SubscribersHearEveryMessageOnceAndInOrder) {
  Peer two = connect(), three = connect();
  two.send("SUBSCRIBE a b\r\n");
  three.send("HELLO 3\r\nSUBSCRIBE b\r\n");
  turn(3);
  std::string begin_two = two.received(), begin_three = three.received(), more_two, more_three;
  for (int n = 0; n < 40; ++n) {
    std::string text = std::to_string(n);
    publish(n % 2 == 0 ? "a" : "b", text);
    more_two += message(2, n % 2 == 0 ? "a" : "b", text);
    if (n % 2 == 1) more_three += message(3, "b", text);
    if (n % 3 == 0) turn();
    move();
    ASSERT_EQ(stats().resp_subscribers.get(), 2u);
    ASSERT_EQ(stats().subscriptions.get(), 3u);
    ASSERT_TRUE(instance_.segment.filter().maybe_member(0, "a"));
  }
  EXPECT_TRUE(turn_until([&] { return two.received() == begin_two + more_two; }));
  EXPECT_TRUE(turn_until([&] { return three.received() == begin_three + more_three; }));
  two.send("PING\r\nUNSUBSCRIBE\r\nPING\r\n");
  EXPECT_TRUE(turn_until([&] { return two.received().ends_with(":0\r\n+PONG\r\n"); }));
  EXPECT_FALSE(instance_.segment.filter().maybe_member(0, "a"));
  EXPECT_TRUE(instance_.segment.filter().maybe_member(0, "b"));
  three.close();
  two.close();
  EXPECT_TRUE(turn_until([&] { return room().connections.size() == 0; }));
  EXPECT_FALSE(instance_.segment.filter().maybe_member(0, "b"));
  expect_nothing_left();
}

// One buffer for all of a version; the kernel takes a part of it.
TEST_F(RespHandover, MessagesThatSubscribersHaveNotReadArriveWhole) {
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(connect());
    peers.back().send("SUBSCRIBE a\r\n");
  }
  turn(3);
  std::string expected = peers[0].received();
  for (int n = 0; n < 30; ++n) {
    std::string text(20'000, char('a' + n % 26));
    publish("a", text);
    expected += message(2, "a", text);
    if (n == 10) turn(2);
    if (n % 10 == 9) move();
  }
  EXPECT_GT(stats().bytes_unsent.get(), 600'000u);
  for (Peer& peer : peers) {
    EXPECT_TRUE(turn_until([&] { return peer.received().size() >= expected.size(); }));
    EXPECT_TRUE(peer.received() == expected);
  }
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

TEST_F(RespHandover, SendQueueCountsWhatAPredecessorQueued) {
  api_.send_queue = 1'000'000;
  Peer peer = connect();
  peer.send("SUBSCRIBE a\r\n");
  turn(3);
  while (stats().bytes_unsent.get() < 900'000) {
    publish("a", std::string(50'000, 'x'));
    turn();
  }
  move();
  EXPECT_EQ(stats().api_closed_slow.get(), 0u);
  publish("a", std::string(100'000, 'x'));
  EXPECT_EQ(stats().api_closed_slow.get(), 1u);
  EXPECT_TRUE(turn_until([&] { return stats().resp_subscribers.get() == 0; }));
  expect_nothing_left();
}

TEST_F(RespHandover, RightsAreThoseOfTheSuccessorsConfiguration) {
  api_.tokens = {{"old"}, {"both"}};
  Peer old = connect(), both = connect(), nobody = connect();
  old.send("AUTH old\r\nSUBSCRIBE a\r\nUNSUBSCRIBE\r\n");
  both.send("AUTH both\r\nPUBSUB NUMPAT\r\n");
  turn(3);
  EXPECT_TRUE(both.received().ends_with(":0\r\n"));
  api_.tokens = {{"both", conf::kScopePush}, {"new"}};
  move();
  auto answer = [&](Peer& peer, std::string_view request) {
    size_t before = peer.received().size();
    peer.send(std::string(request) + "\r\n");
    EXPECT_TRUE(turn_until([&] { return peer.received().size() > before; }));
    return peer.received().substr(before);
  };
  EXPECT_TRUE(answer(old, "PING").starts_with("-NOAUTH"));
  EXPECT_TRUE(answer(both, "PUBSUB NUMPAT").starts_with("-NOPERM"));
  EXPECT_EQ(answer(both, "PUBLISH a b"), ":0\r\n");
  EXPECT_TRUE(answer(nobody, "PING").starts_with("-NOAUTH"));
  EXPECT_EQ(answer(old, "AUTH new"), "+OK\r\n");
  api_.tokens = {{"old"}, {"both"}};
  move();
  EXPECT_TRUE(answer(old, "PING").starts_with("-NOAUTH")) << "it is another token's now";
  EXPECT_EQ(answer(both, "PUBSUB NUMPAT"), ":0\r\n");
}

// ---- router wire

std::string message(api::RouterType type, std::string_view whom, std::string_view what) {
  return std::string(api::router_message({uint16_t(type), whom, what}).bytes());
}

TEST_F(FaceHandover, RouterMessagesComeToTheSame) {
  using Type = api::RouterType;
  serve(make<api::RouterFace>);
  std::string id = session_id(), bad = message(Type::send_all, "", "x");
  bad[4] = '\xff';
  expect_told_the_same(message(Type::send, id, "one") + message(Type::join, id, "c") +
                           message(Type::publish, "c", "two") + message(Type(77), "a", "b") +
                           message(Type::leave, id, "c") + message(Type::publish, "c", "no") +
                           message(Type::info, "", "") + message(Type::send_all, "", "three") +
                           message(Type::kick, "x", "") + bad + message(Type::info, "", ""),
                       [](Told told) {
                         EXPECT_EQ(told.heard, "one\ntwo\nthree\n");
                         EXPECT_NE(told.answers.find("clients: 1\r\n"), std::string::npos);
                         EXPECT_EQ(told.counted["bad input"], 1u);
                         EXPECT_EQ(told.counted["errors"], 2u);
                         return told;
                       });
}

// ---- time

TEST_F(HttpHandover, HalfARequestHas30SecondsFromItsFirstByte) {
  Peer peer = connect();
  peer.send(post("/v1/send-all", R"({"data":"x"})").substr(0, 70));
  turn(2);
  room().pass(20'000);
  move();
  room().pass(8'000);
  EXPECT_FALSE(peer.at_end());
  room().pass(3'000);
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
}

TEST_F(HttpHandover, OneWhoOwesReadingHasNoMoreTimeThanBefore) {
  std::string many;
  for (int i = 0; i < 60; ++i) many += "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
  Peer peer = connect();
  peer.send(many.substr(0, many.size() - 4) + "\r\nConnection: close\r\n\r\n");
  turn(10);
  ASSERT_GT(stats().bytes_unsent.get(), 30'000u);
  room().pass(31'000);  // the kernel took some of it, so there are 30 s more
  room().pass(20'000);
  move();
  room().pass(8'000);
  EXPECT_EQ(room().connections.size(), 1u);
  room().pass(3'000);
  EXPECT_EQ(room().connections.size(), 0u);
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

TEST_F(RespHandover, IdleOneStaysForEver) {
  Peer peer = connect();
  peer.send("PING\r\n");
  turn(2);
  move();
  room().pass(3'600'000);
  peer.send("PING\r\n");
  EXPECT_TRUE(turn_until([&] { return peer.received() == "+PONG\r\n+PONG\r\n"; }));
}

// ---- records of other versions, and nonsense

class ApiRecords : public FaceHandover {
 protected:
  // Would a successor take this connection?
  bool taken(ApiHome::MakeFace face, const handover::ApiRecord& record) {
    auto [near, far] = test::socket_pair();
    auto process = std::make_unique<Process>(instance_, config_, api_, face, true);
    bool restored = ApiConnection::restore(process->home, std::move(near),
                                           handover::ApiRecord(record)) != nullptr;
    end_without_destructors(std::move(process));
    return restored;
  }
  template <class Record>
  bool face_taken(ApiHome::MakeFace face, const Record& record) {
    return taken(face, {.face = handover::save(record)});
  }
};

TEST_F(ApiRecords, ThatSayNothingAreFreshConnections) {
  EXPECT_TRUE(taken(make<api::HttpFace>, {}));
  EXPECT_TRUE(taken(make<api::RouterFace>, {}));
  EXPECT_TRUE(face_taken(make<api::RespFace>, handover::RespRecord{.version = 2}));
  std::string unknown = handover::save(handover::RespRecord{.version = 3});
  uint16_t number = 99;
  uint32_t bytes = 1;
  std::string more(reinterpret_cast<const char*>(&number), sizeof number);
  more.append(reinterpret_cast<const char*>(&bytes), sizeof bytes).append("x");
  EXPECT_TRUE(taken(make<api::RespFace>, {.face = unknown + more}));
  more[1] = char(handover::kNeeded >> 8);
  EXPECT_FALSE(taken(make<api::RespFace>, {.face = unknown + more}));
}

TEST_F(ApiRecords, ThatMakeNoSenseAreRefused) {
  for (uint8_t phase : {uint8_t(3), uint8_t(255)})
    EXPECT_FALSE(taken(make<api::HttpFace>, {.phase = phase}));
  for (uint8_t due : {uint8_t(4), uint8_t(255)})
    EXPECT_FALSE(taken(make<api::HttpFace>, {.due = due}));
  EXPECT_FALSE(taken(make<api::HttpFace>, {.output = {.buffers = {{0, "abc"}}, .sent = 4}}));
  EXPECT_FALSE(taken(make<api::HttpFace>, {.output = {.sent = 1}}));
  EXPECT_FALSE(taken(make<api::HttpFace>, {.output = {.buffers = {{1, ""}}}}))
      << "a shared buffer that nobody has sent";
  for (ApiHome::MakeFace face : {make<api::HttpFace>, make<api::RespFace>, make<api::RouterFace>})
    for (std::string_view bytes : {"x", "no record at all"})
      EXPECT_FALSE(taken(face, {.face = std::string(bytes)}));
  for (int version : {0, 1, 4, -1})
    EXPECT_FALSE(face_taken(make<api::RespFace>, handover::RespRecord{.version = version}));
  handover::HttpRecord trace{.trace = handover::TraceRecord{.token = 1, .subject = {.kind = 3}}};
  EXPECT_TRUE(face_taken(make<api::HttpFace>, trace));
  for (uint8_t kind : {uint8_t(0), uint8_t(4), uint8_t(255)}) {
    trace.trace->subject.kind = kind;
    EXPECT_FALSE(face_taken(make<api::HttpFace>, trace)) << int(kind);
  }
  trace.trace = handover::TraceRecord{.token = 0, .subject = {.kind = 1}};
  EXPECT_FALSE(face_taken(make<api::HttpFace>, trace));
}

// Of another configuration's bounds.
TEST_F(HttpHandover, HalfABodyThatIsTooLongForTheSuccessorIs413) {
  Peer peer = connect();
  peer.send(post("/v1/send-all", std::string(5'000, ' ')).substr(0, 3'000));
  turn(2);
  api_.max_body = 2'000;
  move();
  turn(2);
  peer.send(std::string(10, ' '));
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 413 ")) << peer.received();
}

TEST_F(HttpHandover, HeaderWithoutBlanksAtItsLimitIsReadAgain) {
  std::string request =
      "POST /v1/send-all HTTP/1.1\r\nHost:x\r\nContent-Length:14\r\nX-A:1\r\nX-B:2\r\n"
      "Connection:close\r\n\r\n";
  config_.limits.max_header_size = request.size();
  serve(make<api::HttpFace>);
  Peer peer = connect();
  peer.send(request + R"({"data)");
  turn(2);
  move();
  peer.send(R"(":"one"})");
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 200 ")) << peer.received();
}

// ---- what a reload takes away

class Revoking : public FaceHandover {
 protected:
  Revoking() { api_.tokens = {{"old token", conf::kAllScopes}, {"other token", conf::kAllScopes}}; }
  std::string traces() {
    return "GET /v1/trace?channel=c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer old "
           "token\r\n\r\n";
  }
  bool gets(Peer& peer, std::string_view words) {
    return turn_until([&] { return peer.received().find(words) != std::string::npos; });
  }
};

TEST_F(Revoking, SubscriptionEndsWithItsToken) {
  serve(make<api::RespFace>);
  Peer peer = connect(), other = connect();
  peer.send("AUTH 'old token'\r\nSUBSCRIBE c\r\n");
  other.send("AUTH 'other token'\r\nSUBSCRIBE c\r\n");
  ASSERT_TRUE(gets(peer, "subscribe") && gets(other, "subscribe"));
  api_.tokens.erase(api_.tokens.begin());
  move();
  EXPECT_TRUE(gets(peer, "-NOAUTH "));
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(stats().api_revoked.get(), 1u);
  EXPECT_EQ(stats().resp_subscribers.get(), 1u);
  turn(3);
  EXPECT_FALSE(other.at_end());
}

TEST_F(Revoking, SubscriptionEndsWhereItsTokenMayOnlyPush) {
  serve(make<api::RespFace>);
  Peer peer = connect();
  peer.send("AUTH 'old token'\r\nSUBSCRIBE c\r\n");
  ASSERT_TRUE(gets(peer, "subscribe"));
  api_.tokens[0].scopes = conf::kScopePush;
  move();
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(stats().api_revoked.get(), 1u);
}

TEST_F(Revoking, SubscriptionEndsWhereATokenIsNeededFromNowOn) {
  std::vector<conf::Token> tokens = std::exchange(api_.tokens, {});
  serve(make<api::RespFace>);
  Peer peer = connect();
  peer.send("SUBSCRIBE c\r\n");
  ASSERT_TRUE(gets(peer, "subscribe"));
  api_.tokens = tokens;
  move();
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_EQ(stats().api_revoked.get(), 1u);
}

TEST_F(Revoking, ConnectionThatWasKnownMayShowAnotherToken) {
  serve(make<api::RespFace>);
  Peer peer = connect(), silent = connect();
  for (Peer* one : {&peer, &silent}) one->send("AUTH 'old token'\r\n");
  ASSERT_TRUE(gets(peer, "+OK") && gets(silent, "+OK"));
  api_.tokens.erase(api_.tokens.begin());
  move();
  EXPECT_EQ(stats().api_revoked.get(), 2u);
  peer.send("PING\r\nAUTH 'other token'\r\nPING\r\n");
  EXPECT_TRUE(gets(peer, "-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n"));
  room().pass(11'000);
  EXPECT_TRUE(turn_until([&] { return silent.at_end(); }));
  EXPECT_FALSE(peer.at_end());
  move();
  EXPECT_EQ(stats().api_revoked.get(), 2u) << "once";
}

TEST_F(Revoking, TraceEndsWithItsToken) {
  serve(make<api::HttpFace>);
  Peer peer = connect();
  peer.send(traces());
  ASSERT_TRUE(gets(peer, "\r\n\r\n"));
  move();
  turn(3);
  EXPECT_FALSE(peer.at_end()) << "its token is still there";
  api_.tokens[0].scopes = conf::kScopePush | conf::kScopeQuery;
  move();
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_NE(peer.received().find("\"event\":\"revoked\"}\n\r\n0\r\n\r\n"), std::string::npos)
      << peer.received();
  EXPECT_EQ(stats().api_revoked.get(), 1u);
}

TEST_F(Revoking, TraceOfAnOlderVersionGoesOn) {
  serve(make<api::HttpFace>);
  Peer peer = connect();
  peer.send(traces());
  ASSERT_TRUE(gets(peer, "\r\n\r\n"));
  change_ = [](handover::ApiRecord& record) {
    handover::HttpRecord face;
    ASSERT_TRUE(handover::load(record.face, face));
    face.secret_digest.clear();
    record.face = handover::save(face);
    record.anchor.clear();
  };
  move();
  turn(3);
  room().pass(20'000);
  EXPECT_FALSE(peer.at_end());
  EXPECT_EQ(stats().api_revoked.get(), 0u);
}

TEST_F(Revoking, HttpConnectionWhoseTokenIsGoneIsAStrangerAgain) {
  serve(make<api::HttpFace>);
  Peer peer = connect(), other = connect();
  for (Peer* one : {&peer, &other}) {
    const char* token = one == &peer ? "old token" : "other token";
    one->send(fmt::format("GET /v1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
                          token));
    ASSERT_TRUE(gets(*one, "200 OK"));
  }
  api_.tokens.erase(api_.tokens.begin());
  move();
  EXPECT_EQ(stats().api_revoked.get(), 1u);
  peer.send("GET /v1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer old token\r\n\r\n");
  EXPECT_TRUE(gets(peer, "401 Unauthorized"));
  room().pass(20'000);
  EXPECT_TRUE(turn_until([&] { return peer.at_end(); }));
  EXPECT_FALSE(other.at_end());
}

TEST_F(Revoking, BodyThatIsPassedOverIsSoInTheSuccessor) {
  serve(make<api::HttpFace>);
  Peer peer = connect();
  peer.send("POST /v1/send-all HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" +
            std::string(100, 'x'));
  ASSERT_TRUE(gets(peer, "401 Unauthorized"));
  move();
  peer.send(std::string(9'900, 'x') + "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(gets(peer, "200 OK"));
  EXPECT_EQ(stats().api_bad_input.get(), 0u);
}

}  // namespace
}  // namespace holdfast
