#include "worker/routing/push_router.h"

#include "base/bytes.h"
#include "tests/unit/routing/router_fixture.h"
#include "worker/routing/letter_record.h"

namespace holdfast {
namespace {

TEST_F(RouterTest, SendReachesSessionsHereAndThereAndNamesTheUnknown) {
  Session& near = here_.open_session();
  Session& far = there_.open_session();
  shm::SessionId nobody{1, 2};
  execute({.op = Op::send, .sessions = {near.id, nobody, far.id}, .data = "hi"});
  ASSERT_TRUE(result_) << "the directory answers at once";
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_EQ(result_->unknown, std::vector{nobody});
  EXPECT_TRUE(both_turn_until(
      [&] { return lines_of(here_, 0) == "hi\n" && lines_of(there_, 0) == "hi\n"; }));
}

TEST_F(RouterTest, PublishCountsTheMembersOfAllWorkersAndSparesTheExcluded) {
  std::vector<shm::SessionId> excluded;
  for (test::Room* room : {&here_, &there_}) {
    for (int i = 0; i < 20; ++i) {
      Session& session = room->open_session();
      room->hub.join(session, "room");
      if (i % 3 == 0) excluded.push_back(session.id);
    }
  }
  std::reverse(excluded.begin(), excluded.end());
  Command command = publish("room", "news");
  command.exclude = excluded;
  execute(command);
  EXPECT_FALSE(result_);
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 40 - excluded.size());
  EXPECT_FALSE(result_->partial);
  for (test::Room* room : {&here_, &there_})
    for (size_t i = 0; i < 20; ++i) EXPECT_EQ(lines_of(*room, i), i % 3 == 0 ? "" : "news\n") << i;
}

TEST_F(RouterTest, WorkerWithoutMembersIsNotAsked) {
  here_.hub.join(here_.open_session(), "room");
  execute(publish("room", "x"));
  ASSERT_TRUE(result_);
  EXPECT_EQ(result_->delivered, 1u);
  EXPECT_EQ(stats().push_forwarded.get(), 0u);
}

TEST_F(RouterTest, SendAllReachesEverySession) {
  for (int i = 0; i < 3; ++i) here_.open_session(), there_.open_session();
  execute({.op = Op::send_all, .data = "all"});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 6u);
}

TEST_F(RouterTest, UsersAreBoundJoinedAndKickedWhereverTheyAre) {
  Session& near = here_.open_session();
  Session& far = there_.open_session();
  for (const shm::SessionId& id : {near.id, far.id}) {
    execute({.op = Op::bind, .sessions = {id}, .users = {"ann"}});
    ASSERT_TRUE(answered());
    EXPECT_EQ(result_->delivered, 1u);
  }
  execute({.op = Op::join, .channels = {"room"}, .users = {"ann"}});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_NE(there_.hub.find("room"), nullptr);
  execute({.op = Op::kick, .code = 4000, .users = {"ann"}, .reason = "out"});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_EQ(here_.backend.endings, std::vector{EndReason::kicked});
  EXPECT_EQ(there_.backend.endings, std::vector{EndReason::kicked});
}

// The list of members shrinks under the fan-out.
TEST_F(RouterTest, KickOfAChannelEndsAllItsMembers) {
  for (int i = 0; i < 30; ++i) here_.hub.join(here_.open_session(), "room");
  execute({.op = Op::kick, .code = 1000, .channels = {"room"}});
  ASSERT_TRUE(result_);
  EXPECT_EQ(result_->delivered, 30u);
  EXPECT_EQ(here_.sessions.size(), 0u);
  EXPECT_EQ(here_.hub.find("room"), nullptr);
}

TEST_F(RouterTest, UnbindOfAUserEndsAllItsMemberships) {
  for (int i = 0; i < 30; ++i) here_.sessions.set_user(here_.open_session(), "ann");
  execute({.op = Op::unbind, .users = {"ann"}});
  ASSERT_TRUE(result_);
  EXPECT_EQ(result_->delivered, 30u);
  EXPECT_EQ(here_.hub.find(user_channel("ann")), nullptr);
}

TEST_F(RouterTest, OrderToOneSessionHolds) {  // I3
  Session& far = there_.open_session();
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    std::string text = std::to_string(i);
    execute({.op = Op::send, .sessions = {far.id}, .data = text});
    ASSERT_EQ(result_->delivered, 1u);
    expected += text + '\n';
    if (i % 700 == 0) here_.turn();  // some through the ring, many through the overflow
  }
  EXPECT_GT(stats().mailbox_overflow_bytes.get(), 0u);
  EXPECT_TRUE(both_turn_until([&] { return lines_of(there_, 0).size() == expected.size(); }));
  EXPECT_TRUE(lines_of(there_, 0) == expected);
  EXPECT_EQ(stats().mailbox_overflow_bytes.get(), 0u);
}

TEST_F(RouterTest, AnswersAtTheDeadlineWithoutTheOthersPartAndIgnoresItAfterwards) {  // I1
  here_.hub.join(here_.open_session(), "room");
  there_.hub.join(there_.open_session(), "room");
  execute(publish("room", "x"));
  here_.turn();
  EXPECT_FALSE(result_);
  here_.pass(PushRouter::kReplyDeadlineMs + 100);
  ASSERT_TRUE(result_);
  EXPECT_EQ(result_->delivered, 1u);
  EXPECT_TRUE(result_->partial);
  EXPECT_EQ(stats().push_partial.get(), 1u);
  EXPECT_TRUE(both_turn_until([&] { return stats().push_late_reply.get() == 1; }));
}

// A reply to a command of the process that served this slot before must not count for one of ours.
TEST_F(RouterTest, ReplyToADeadPredecessorIsLate) {
  there_.hub.join(there_.open_session(), "room");
  execute(publish("room", "x"));
  for (uint64_t token = 1; token < 50; ++token) {
    std::string stale;
    ByteWriter writer(stale);
    writer.put(token);
    writer.put(uint8_t{1});
    writer.put(uint8_t{0});
    for (uint64_t number : {1000, 0, 0, 0}) writer.put(number);
    there_.router.post().send(0, RecordKind::reply, stale);
  }
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 1u);
  EXPECT_EQ(stats().push_late_reply.get(), 49u);
}

TEST_F(RouterTest, SessionsOfADeadWorkerAreUnknown) {
  Session& far = there_.open_session();
  instance_.set_state(1, shm::SlotState::dead);
  execute({.op = Op::send, .sessions = {far.id}, .data = "x"});
  EXPECT_EQ(result_->unknown, std::vector{far.id});
  EXPECT_EQ(result_->delivered, 0u);
  EXPECT_EQ(stats().push_no_session.get(), 1u);
}

TEST_F(RouterTest, WhatWaitsForAWorkerThatDiesIsGivenUpAndCounted) {
  Session& far = there_.open_session();
  while (stats().mailbox_overflow_bytes.get() == 0)
    execute({.op = Op::send, .sessions = {far.id}, .data = std::string(1000, 'x')});
  instance_.set_state(1, shm::SlotState::dead);
  here_.turn();
  EXPECT_EQ(stats().mailbox_overflow_bytes.get(), 0u);
  EXPECT_EQ(stats().push_no_session.get(), 1u);
}

// The slot is served again before its death was seen here.  // Post I5
TEST_F(RouterTest, WhatWaitsForADeadWorkerIsNotForItsSuccessor) {
  Session& far = there_.open_session();
  auto fill = [&] {
    while (stats().mailbox_overflow_bytes.get() == 0)
      execute({.op = Op::send, .sessions = {far.id}, .data = std::string(1000, 'x')});
  };
  fill();
  instance_.segment.slot(1).restarts = 1;
  here_.turn();
  EXPECT_EQ(stats().mailbox_overflow_bytes.get(), 0u);
  EXPECT_EQ(stats().push_no_session.get(), 1u);
  // Nor where our own process is replaced in between.
  fill();
  std::vector<handover::LetterRecord> letters = here_.router.post().save();
  instance_.segment.slot(1).restarts = 2;
  ASSERT_TRUE(here_.router.post().restore(std::move(letters)));
  here_.turn();
  EXPECT_EQ(stats().push_no_session.get(),
            3u);  // the one that waited, and the one restored beside it
}

// What is in the ring is answered before anybody connects.  // Post I5
TEST_F(RouterTest, LeftoversAreReceivedAllAtOnce) {
  Post& post = there_.router.post();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(post.send(0, RecordKind(9), "unknown kind"));
  here_.router.post().receive_leftovers();
  EXPECT_EQ(stats().push_received.get(), 500u);
  EXPECT_FALSE(here_.router.post().has_mail());
}

TEST_F(RouterTest, ARecordThatTwoProcessesDiedOfIsLeftOutAndTheNextIsNot) {
  Post& post = there_.router.post();
  ASSERT_TRUE(post.send(0, RecordKind(9), "the deadly one"));
  ASSERT_TRUE(post.send(0, RecordKind(9), "another"));
  for (uint32_t death = 0; death < shm::kMostUses; ++death)
    ASSERT_TRUE(instance_.segment.ring(1, 0).begin_use());
  here_.turn();
  EXPECT_EQ(stats().push_poison_record.get(), 1u);
  EXPECT_EQ(stats().push_received.get(), 1u);
}

TEST_F(RouterTest, RecordsThatMakeNoSenseAreCountedAndLeftOut) {
  Post& post = there_.router.post();
  post.send(0, RecordKind::command, "short");
  post.send(0, RecordKind::command, std::string(8, '\0') + "no command");
  post.send(0, RecordKind(9), "unknown kind");
  EXPECT_TRUE(both_turn_until([&] { return stats().push_bad_record.get() == 3; }));
  Session& near = here_.open_session();
  Command bind{.op = Op::bind, .sessions = {near.id}};  // to nobody
  post.send(0, RecordKind::command, std::string(8, '\0') + bind.encode());
  EXPECT_TRUE(both_turn_until([&] { return stats().push_received.get() == 4; }));
  EXPECT_EQ(near.user, "");
}

class OneChannelTest : public RouterTest {
 protected:
  OneChannelTest() : RouterTest(config()) {}
  static conf::Config config() {
    conf::Config config;
    config.limits.max_channels_per_session = 1;
    return config;
  }
};

TEST_F(OneChannelTest, JoinOfOneTooManyIsReportedFromBothWorkers) {
  std::vector<shm::SessionId> ids{here_.open_session().id, there_.open_session().id};
  execute({.op = Op::join, .sessions = ids, .channels = {"a"}});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_EQ(result_->refused, 0u);
  execute({.op = Op::join, .sessions = ids, .channels = {"b"}});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 0u);
  EXPECT_EQ(result_->refused, 2u);
}

class FullMailboxTest : public RouterTest {
 protected:
  FullMailboxTest() : RouterTest(config()) {}
  static conf::Config config() {
    conf::Config config;
    config.limits.mailbox_overflow = 10'000;
    return config;
  }
};

TEST_F(FullMailboxTest, FailsTheSendAndSaysForWhom) {
  Session& far = there_.open_session();
  Command command{.op = Op::send, .sessions = {far.id}, .data = std::string(1000, 'x')};
  size_t taken = 0;
  for (;; ++taken) {
    execute(command);
    if (result_->workers_failed > 0) break;
    ASSERT_EQ(result_->delivered, 1u);
    ASSERT_LT(taken, 1000u);
  }
  EXPECT_EQ(result_->failed, std::vector{far.id});
  EXPECT_EQ(result_->delivered, 0u);
  EXPECT_EQ(stats().push_queue_full.get(), 1u);
  EXPECT_LE(stats().mailbox_overflow_bytes.get(), 10'000u);
  there_.hub.join(far, "room");
  execute(publish("room", "x" + std::string(1000, 'x')));
  ASSERT_TRUE(result_) << "nobody to wait for";
  EXPECT_EQ(result_->workers_failed, 1u);
  // What was taken arrives.
  EXPECT_TRUE(both_turn_until([&] { return lines_of(there_, 0).size() == taken * 1001; }));
}

// A subscriber of patterns that writes down what it gets.
class PatternSubscriber final : public Subscriber {
 public:
  explicit PatternSubscriber(Hub& hub) : hub_(hub) {}
  ~PatternSubscriber() { hub_.leave_all(*this); }
  void take(std::string_view pattern) {
    hub_.join(*this, reserved_name(NameKind::pattern, pattern));
  }
  bool published(std::string_view channel, Payload& payload, Urgency) override {
    got += std::string(channel) + "=" + std::string(payload.data()) + " ";
    return true;
  }
  bool matched(std::string_view pattern, std::string_view channel, Payload& payload,
               Urgency) override {
    got +=
        std::string(pattern) + ":" + std::string(channel) + "=" + std::string(payload.data()) + " ";
    return true;
  }
  std::string got;

 private:
  Hub& hub_;
};

TEST_F(RouterTest, PatternsOfAnyWorkerGetWhatIsPublished) {
  PatternSubscriber near(here_.hub), far(there_.hub);
  near.take("n*");
  far.take("*");
  far.take("x?");
  there_.hub.join(far, "news");
  execute(publish("news", "1"));
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 3u);
  EXPECT_EQ(near.got, "n*:news=1 ");
  EXPECT_EQ(far.got, "news=1 *:news=1 ") << "who has both, gets both";
  execute(publish("x1", "2"));
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_EQ(far.got, "news=1 *:news=1 *:x1=2 x?:x1=2 ");
  execute({.op = Op::send_user, .users = {"n"}, .data = "3"});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 0u) << "a user is no channel";
}

TEST_F(RouterTest, WithoutAPatternNobodyIsToldInVain) {
  {
    PatternSubscriber far(there_.hub);
    far.take("*");
  }
  uint64_t before = stats().push_forwarded.get();
  execute(publish("nobody.here", "1"));
  ASSERT_TRUE(answered());
  EXPECT_EQ(stats().push_forwarded.get(), before);
}

TEST_F(RouterTest, ShardedPublishReachesSessionsAndShardedSubscribersOnly) {
  Session& member = here_.open_session();
  here_.hub.join(member, "a");
  PatternSubscriber all(there_.hub), plain(there_.hub), sharded(there_.hub);
  all.take("*");
  there_.hub.join(plain, "a");
  there_.hub.join(sharded, reserved_name(NameKind::shard, "a"));
  execute({.op = Op::publish,
           .sharded = true,
           .channels = {"a", reserved_name(NameKind::shard, "a")},
           .data = "s"});
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 2u);
  EXPECT_EQ(all.got + plain.got, "");
  EXPECT_NE(sharded.got, "");
}

TEST_F(RouterTest, NamesOfOtherKindsAreListedForThemselves) {
  PatternSubscriber near(here_.hub), far(there_.hub);
  near.take("p*");
  far.take("p*");
  far.take("q");
  here_.hub.join(near, "plain");
  there_.hub.join(far, reserved_name(NameKind::shard, "shard"));
  auto names = [&](std::vector<std::string> kind) {
    execute({.op = Op::list_channels, .channels = std::move(kind), .page = {.limit = 10}});
    EXPECT_TRUE(answered());
    std::string all;
    for (const NameCount& name : result_->names) all += name.name + " ";
    return all;
  };
  EXPECT_EQ(names({}), "plain ");
  EXPECT_EQ(names({reserved_name(NameKind::pattern, {})}), "p* q ");
  EXPECT_EQ(names({reserved_name(NameKind::shard, {})}), "shard ");
}

}  // namespace
}  // namespace holdfast
