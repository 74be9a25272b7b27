#include "worker/api/router/face.h"

#include "base/log.h"
#include "tests/unit/api/api_harness.h"
#include "tests/unit/conf/temp_dir.h"

namespace holdfast::api {
namespace {

const shm::SessionId kAnn{0x0007'0000'0001'aaaa, 1}, kBob{0x0007'0000'0002'bbbb, 2};

std::string message(RouterType type, std::string_view whom, std::string_view what) {
  return std::string(router_message({uint16_t(type), whom, what}).bytes());
}

// Nobody waits for the counts of a push whose sender is not told them.
class CountlessRouter final : public FakeRouter {
 public:
  void execute(const Command& command, CommandDone done) override {
    EXPECT_EQ(bool(done), changes_state(command.op));
    if (done) return FakeRouter::execute(command, std::move(done));
    seen.push_back(command);
  }
};

// What ApiConnection does for a face: keeps what is not used, asks again when all have their answers.
class RouterFaceTest : public ApiTest, private Reply::Desk {
 protected:
  RouterFaceTest() {
    api.address = *conf::parse_address("unix:/r.sock");
    context.complaints = &complaints;
    context.router = &router;
  }

  // What leaves because of these bytes.
  std::string say(std::string_view bytes) {
    in_ += bytes;
    return run();
  }
  std::string run() {
    while (!ended) {
      size_t used = 0;
      answered_ = false;
      last_step = face.step(in_, owed_ == 0, Reply(*this, 1, ++requests_), &used);
      in_.erase(0, used);
      ended = last_step == Face::Step::last;
      bool owes = (last_step == Face::Step::taken || ended) && !answered_;
      if (owes) ++owed_;
      if (last_step == Face::Step::need_more || last_step == Face::Step::wait) break;
    }
    return std::exchange(out_, {});
  }
  void on_reply(uint64_t, uint64_t request, BufferRef bytes) override {
    out_ += bytes.bytes();
    if (request == requests_ && last_step != Face::Step::wait)
      answered_ = true;
    else
      --owed_;
  }
  // The one command this message becomes.
  Command command_of(RouterType type, std::string_view whom, std::string_view what) {
    router.seen.clear();
    EXPECT_EQ(say(message(type, whom, what)), "");
    EXPECT_EQ(router.seen.size(), 1u);
    return router.seen.empty() ? Command{} : router.seen[0];
  }
  shm::StatsBlock& stats() { return segment.stats(1); }

  CountlessRouter router;
  LogGate complaints;
  RouterFace face{context, wire};
  Face::Step last_step = Face::Step::need_more;
  bool ended = false;

 private:
  std::string in_, out_;
  uint64_t requests_ = 0, owed_ = 0;
  bool answered_ = false;
};

TEST_F(RouterFaceTest, SendGoesToAllSessionsNamedAndHasNoAnswer) {
  Command command = command_of(RouterType::send, kAnn.hex() + kBob.hex(), "hello");
  EXPECT_EQ(command.op, Op::send);
  EXPECT_EQ(command.sessions, (std::vector{kAnn, kBob}));
  EXPECT_EQ(command.data, "hello");
  EXPECT_FALSE(command.binary);
  EXPECT_EQ(stats().api_requests.get(), 1u);
  EXPECT_EQ(stats().api_errors.get(), 0u);
}

TEST_F(RouterFaceTest, PayloadIsTextWhereItIsUtf8) {
  EXPECT_FALSE(command_of(RouterType::send_all, "", "gr\xc3\xbc\xc3\x9f").binary);
  EXPECT_TRUE(command_of(RouterType::send_all, "", "gr\xfc\xdf").binary);
  EXPECT_FALSE(command_of(RouterType::send_all, "", "").binary);
  std::string nul("a\0b", 3);
  EXPECT_EQ(command_of(RouterType::send_all, "", nul).data, nul);
}

TEST_F(RouterFaceTest, SendAllPublishJoinLeaveAndKickSayWhatTheyMean) {
  Command all = command_of(RouterType::send_all, "", "x");
  EXPECT_EQ(all.op, Op::send_all);
  EXPECT_EQ(all.data, "x");
  Command publish = command_of(RouterType::publish, "room", "x");
  EXPECT_EQ(publish.op, Op::publish);
  EXPECT_EQ(publish.channels, std::vector<std::string>{"room"});
  EXPECT_EQ(publish.data, "x");
  Command join = command_of(RouterType::join, kAnn.hex(), "room");
  EXPECT_EQ(join.op, Op::join);
  EXPECT_EQ(join.sessions, std::vector{kAnn});
  EXPECT_EQ(join.channels, std::vector<std::string>{"room"});
  Command leave = command_of(RouterType::leave, kAnn.hex() + kBob.hex(), "room");
  EXPECT_EQ(leave.op, Op::leave);
  EXPECT_EQ(leave.sessions.size(), 2u);
  Command kick = command_of(RouterType::kick, kBob.hex(), "");
  EXPECT_EQ(kick.op, Op::kick);
  EXPECT_EQ(kick.sessions, std::vector{kBob});
  EXPECT_EQ(kick.code, 4000);
}

TEST_F(RouterFaceTest, IdsMayHaveCapitalsAsInEveryProtocol) {
  std::string id = kAnn.hex();
  for (char& c : id) c = char(toupper(c));
  EXPECT_EQ(command_of(RouterType::send, id, "x").sessions, std::vector{kAnn});
}

TEST_F(RouterFaceTest, AMessageMayNameTwoThousandSessions) {
  std::string ids;
  for (int i = 0; i < 2000; ++i) ids += kAnn.hex();
  EXPECT_EQ(command_of(RouterType::send, ids, "x").sessions.size(), 2000u);
}

TEST_F(RouterFaceTest, WhatMakesNoSenseIsLeftOutAndTheNextIsCarriedOut) {
  std::string id = kAnn.hex();
  struct Row {
    const char* name;
    RouterType type;
    std::string whom, what;
  };
  const std::vector<Row> rows{
      {"no id", RouterType::send, "", "x"},
      {"half an id", RouterType::send, id.substr(0, 16), "x"},
      {"an id and a half", RouterType::send, id + id.substr(16), "x"},
      {"no hex", RouterType::send, std::string(31, '0') + "g", "x"},
      {"the second is no hex", RouterType::send, id + std::string(32, 'x'), "x"},
      {"a base64url id of another length", RouterType::send, kAnn.base64url(), "x"},
      {"a payload too long", RouterType::send, id, std::string(kMaxMessage + 1, 'x')},
      {"kick without an id", RouterType::kick, "", ""},
      {"join without an id", RouterType::join, "", "room"},
      {"join without a channel", RouterType::join, id, ""},
      {"join of a name too long", RouterType::join, id, std::string(256, 'c')},
      {"leave of no UTF-8", RouterType::leave, id, "r\xff"},
      {"leave with a bad id", RouterType::leave, "x", "room"},
      {"publish without a channel", RouterType::publish, "", "x"},
      {"publish to a control character", RouterType::publish, std::string("\0ann", 4), "x"},
      {"publish of too much", RouterType::publish, "room", std::string(kMaxMessage + 1, 'x')},
      {"everybody, with ids", RouterType::send_all, id, "x"},
      {"everybody, too much", RouterType::send_all, "", std::string(kMaxMessage + 1, 'x')},
      {"type 0", RouterType(0), "", ""},
      {"a gateway's register", RouterType(1), id, "x"},
      {"a gateway's connect", RouterType(2), id, ""},
      {"a gateway's close", RouterType(3), id, ""},
      {"a gateway's subscribe", RouterType(10), "room", ""},
      {"a gateway's unsubscribe", RouterType(11), "room", ""},
      {"type 13", RouterType(13), "", ""},
      {"type 65535", RouterType(65'535), id, "x"},
  };
  uint64_t errors = 0;
  for (const Row& row : rows) {
    router.seen.clear();
    std::string answer =
        say(message(row.type, row.whom, row.what) + message(RouterType::publish, "a", "b"));
    EXPECT_EQ(answer, "") << row.name;
    ASSERT_EQ(router.seen.size(), 1u) << row.name;
    EXPECT_EQ(router.seen[0].channels, std::vector<std::string>{"a"}) << row.name;
    EXPECT_EQ(stats().api_errors.get(), ++errors) << row.name;
  }
  EXPECT_EQ(stats().api_requests.get(), 2 * rows.size());
  EXPECT_EQ(stats().api_bad_input.get(), 0u);
  EXPECT_FALSE(ended);
}

TEST_F(RouterFaceTest, WhatIsLeftOutIsLoggedOnceASecond) {
  conf::TempDir dir;
  ASSERT_TRUE(open_log({LogLevel::info, dir / "log", false}, "test"));
  for (int i = 0; i < 3; ++i) say(message(RouterType::kick, "x", ""));
  std::ifstream file(dir / "log");
  std::string log{std::istreambuf_iterator<char>(file), {}};
  ASSERT_TRUE(open_log({}, "test"));
  EXPECT_NE(log.find("router message left out listener=unix:/r.sock type=4 "), log.npos) << log;
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 2) << log;
}

TEST_F(RouterFaceTest, ALengthThatCannotBeEndsTheConnectionWithoutAWord) {
  std::string bad = message(RouterType::send_all, "", "x");
  bad[4] = '\xff';
  EXPECT_EQ(
      say(message(RouterType::publish, "a", "b") + bad + message(RouterType::send_all, "", "x")),
      "");
  EXPECT_TRUE(ended);
  ASSERT_EQ(router.seen.size(), 1u);
  EXPECT_EQ(router.seen[0].op, Op::publish);
  EXPECT_EQ(stats().api_bad_input.get(), 1u);
  EXPECT_EQ(stats().api_errors.get(), 0u);
}

TEST_F(RouterFaceTest, MaxBodyBoundsAMessageBeforeItHasCome) {
  api.max_body = 2000;
  EXPECT_EQ(say(message(RouterType::send_all, "", std::string(2000, 'x'))), "");
  EXPECT_FALSE(ended);  // too long a payload, but a message
  EXPECT_EQ(stats().api_errors.get(), 1u);
  say(message(RouterType::send_all, "", std::string(2001, 'x')).substr(0, 8));
  EXPECT_TRUE(ended);
}

TEST_F(RouterFaceTest, WhatComesBehindAChangeWaitsUntilItIsDone) {
  for (RouterType change : {RouterType::join, RouterType::leave, RouterType::kick}) {
    router.seen.clear();
    router.hold = true;
    std::string channel = change == RouterType::kick ? "" : "room";
    say(message(change, kAnn.hex(), channel) + message(RouterType::publish, "room", "x"));
    EXPECT_EQ(router.seen.size(), 1u);
    EXPECT_EQ(last_step, Face::Step::wait);
    router.hold = false;
    router.release({});
    EXPECT_EQ(run(), "");
    ASSERT_EQ(router.seen.size(), 2u);
    EXPECT_EQ(router.seen[1].op, Op::publish);
  }
}

TEST_F(RouterFaceTest, SendsDoNotWaitForEachOther) {
  router.hold = true;
  say(message(RouterType::send_all, "", "1") + message(RouterType::publish, "a", "2") +
      message(RouterType::send, kAnn.hex(), "3"));
  EXPECT_EQ(router.seen.size(), 3u);
  EXPECT_EQ(last_step, Face::Step::need_more);
}

TEST_F(RouterFaceTest, InfoTellsWhoIsWhere) {
  segment.slot(0).state.store(shm::SlotState::draining);
  segment.stats(0).sessions_online.set(3);
  segment.stats(0).channels_local.set(2);
  segment.stats(1).sessions_online.set(40);
  segment.stats(1).channels_local.set(5);
  EXPECT_EQ(
      say(message(RouterType::info, "", "")),
      message(RouterType::info, "",
              "clients: 43\r\nchannels: 7\r\ngateway: 7\t0\t3\t2\r\ngateway: 7\t1\t40\t5\r\n"));
  EXPECT_EQ(stats().api_errors.get(), 0u);
}

TEST_F(RouterFaceTest, InfoLeavesOutSlotsWithoutAWorker) {
  segment.stats(0).sessions_online.set(3);  // what a dead process left there
  for (shm::SlotState state :
       {shm::SlotState::free, shm::SlotState::starting, shm::SlotState::dead}) {
    segment.slot(0).state.store(state);
    EXPECT_EQ(
        say(message(RouterType::info, "ignored", "ignored")),
        message(RouterType::info, "", "clients: 0\r\nchannels: 0\r\ngateway: 7\t1\t0\t0\r\n"));
  }
}

TEST_F(RouterFaceTest, ComesToTheSameHoweverTheBytesAreCut) {
  std::string all = message(RouterType::send, kAnn.hex(), "one") +
                    message(RouterType::join, kAnn.hex(), "room") +
                    message(RouterType(77), "a", "b") + message(RouterType::info, "", "") +
                    message(RouterType::publish, "room", "two");
  std::string whole = say(all);
  std::vector<std::string> wanted;
  for (const Command& command : router.seen) wanted.push_back(command.encode());
  ASSERT_EQ(wanted.size(), 3u);
  for (size_t cut = 1; cut < all.size(); ++cut) {
    router.seen.clear();
    std::string answer = say(std::string_view(all).substr(0, cut));
    answer += say(std::string_view(all).substr(cut));
    EXPECT_EQ(answer, whole) << cut;
    std::vector<std::string> got;
    for (const Command& command : router.seen) got.push_back(command.encode());
    EXPECT_EQ(got, wanted) << cut;
  }
}

// Larger than any record between workers: refused, wherever the sessions are.
TEST_F(RouterFaceTest, WhatFitsNoMailboxIsLeftOut) {
  config.limits.max_message_size = 256 * 1024;
  say(message(RouterType::send_all, "", std::string(100'000, 'x')));
  EXPECT_TRUE(router.seen.empty());
  EXPECT_EQ(stats().api_errors.get(), 1u);
}

TEST_F(RouterFaceTest, MayBeIdleForEverButKeepsNoWorkerFromItsEnd) {
  EXPECT_EQ(face.idle_ms(), 0u);
  EXPECT_FALSE(face.wants_to_stay());
}

}  // namespace
}  // namespace holdfast::api
