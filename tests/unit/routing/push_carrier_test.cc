#include "worker/routing/push_carrier.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "tests/unit/routing/router_fixture.h"
#include "worker/backends/builtin.h"
#include "worker/backends/reply_actions.h"

namespace holdfast {
namespace {

constexpr size_t kSlice = 4;
constexpr size_t kMembers = 20;

// A room that is five slices long.
class PushCarrierTest : public RouterTest {
 protected:
  PushCarrierTest() {
    here_.router.carrier().slice(kSlice);
    for (size_t i = 0; i < kMembers; ++i) members_.push_back(join("big"));
  }
  Session* join(const char* channel) {
    Session& session = here_.open_session();
    here_.hub.join(session, channel);
    return &session;
  }
  // Carried out on behalf of this source; its answer is kept by number.
  size_t ask(Command command, uint64_t source = 0) {
    size_t number = results_.size();
    results_.emplace_back();
    command.source = source;
    here_.router.execute(command, [this, number](CommandResult&& given) {
      EXPECT_FALSE(results_[number]) << "answered twice";
      results_[number] = std::move(given);
    });
    return number;
  }
  size_t turns_until(size_t number) {
    size_t turns = 0;
    for (; !results_[number] && turns < 1000; ++turns) {
      here_.turn();
      there_.turn();
    }
    EXPECT_TRUE(results_[number]);
    return turns;
  }
  // What peer `i` has got, in one line.
  std::string got(size_t i) {
    std::string lines = lines_of(here_, i);
    std::replace(lines.begin(), lines.end(), '\n', ' ');
    return lines;
  }
  size_t reached(const std::string& lines) {
    size_t n = 0;
    for (size_t i = 0; i < here_.others.size(); ++i) n += got(i) == lines;
    return n;
  }
  bool settled() {
    return here_.turn_until([&] { return here_.router.carrier().idle(); });
  }

  std::vector<Session*> members_;
  std::deque<std::optional<CommandResult>> results_;
};

TEST_F(PushCarrierTest, APushToManyGoesOutInSlicesAndIsAnsweredOnceWithTheLast) {
  size_t news = ask(publish("big", "news"));
  EXPECT_EQ(stats().push_under_way.get(), 1u);
  for (size_t turn = 1; turn < kMembers / kSlice; ++turn) {
    EXPECT_FALSE(results_[news]);
    here_.turn();
    EXPECT_EQ(reached("news "), (turn + 1) * kSlice);
  }
  EXPECT_LE(turns_until(news), 1u);
  EXPECT_EQ(results_[news]->delivered, kMembers);
  EXPECT_EQ(reached("news "), kMembers);
  EXPECT_EQ(stats().push_under_way.get(), 0u);
  EXPECT_GE(stats().push_slices.get(), kMembers / kSlice);
}

TEST_F(PushCarrierTest, ASmallOneOfAnotherIsServedBetweenTheSlices) {
  Session& bystander = here_.open_session();
  size_t big = ask(publish("big", "news"), 1);
  here_.turn();
  size_t small = ask({.op = Op::send, .sessions = {bystander.id}, .data = "hi"}, 2);
  ASSERT_TRUE(results_[small]);
  EXPECT_EQ(results_[small]->delivered, 1u);
  here_.turn();
  EXPECT_EQ(got(kMembers), "hi ");
  EXPECT_FALSE(results_[big]);
  EXPECT_TRUE(settled());
}

TEST_F(PushCarrierTest, WhatTheSameSourceAsksForComesBehindForEverybody) {
  size_t first = ask(publish("big", "1"), 1);
  size_t send = ask({.op = Op::send, .sessions = {members_[0]->id}, .data = "2"}, 1);
  ASSERT_TRUE(results_[send]) << "a send is answered when it is handed over";
  EXPECT_EQ(results_[send]->delivered, 1u);
  size_t all = ask({.op = Op::send_all, .data = "3"}, 1);
  size_t kick = ask({.op = Op::kick, .code = 4000, .sessions = {members_[0]->id}}, 1);
  size_t again = ask(publish("big", "4"), 1);
  turns_until(again);
  EXPECT_TRUE(results_[first] && results_[all] && results_[kick]);
  EXPECT_EQ(results_[again]->delivered, kMembers - 1);
  EXPECT_EQ(got(0), "1 2 3 ");
  EXPECT_EQ(reached("1 3 4 "), kMembers - 1);
}

TEST_F(PushCarrierTest, SourcesTakeTurns) {
  size_t first = ask(publish("big", "a1"), 1);
  size_t second = ask(publish("big", "a2"), 1);
  size_t other = ask(publish("big", "b1"), 2);
  turns_until(other);
  EXPECT_TRUE(results_[first]);
  EXPECT_FALSE(results_[second]);
  EXPECT_TRUE(settled());
  EXPECT_EQ(reached("a1 b1 a2 "), kMembers);
}

// I1
TEST_F(PushCarrierTest, WhoComesIsLeftOutAndWhoStaysIsNotWhoeverGoes) {
  size_t news = ask(publish("big", "news"));
  Session* newcomer = join("big");
  here_.hub.leave(*members_[0], "big");             // has not got it
  here_.hub.leave(*members_[kMembers - 1], "big");  // has got it
  here_.hub.leave(*members_[1], "big");             // comes again
  here_.hub.join(*members_[1], "big");
  here_.turn();
  members_[2]->transport->close(4000, "out", EndReason::kicked);
  join("big");
  turns_until(news);
  EXPECT_EQ(results_[news]->delivered, kMembers - 3);
  EXPECT_EQ(reached("news "), kMembers - 3);
  for (size_t i : {size_t{0}, size_t{1}, size_t{2}, kMembers, kMembers + 1})
    EXPECT_EQ(got(i), "") << i;
  EXPECT_EQ(got(kMembers - 1), "news ");
  EXPECT_EQ(newcomer->memberships.size(), 1u);
}

TEST_F(PushCarrierTest, AChannelThatEmptiesAmidAFanOutEndsIt) {
  size_t news = ask(publish("big", "news"));
  for (Session* member : members_) here_.hub.leave(*member, "big");
  here_.hub.join(*members_[0], "big");  // another channel of that name
  EXPECT_LE(turns_until(news), 1u);
  EXPECT_EQ(results_[news]->delivered, kSlice);
  EXPECT_EQ(reached("news "), kSlice);
}

// I1
TEST_F(PushCarrierTest, ASendToAllIsForThoseWhoWereThere) {
  size_t all = ask({.op = Op::send_all, .data = "all"});
  members_[kMembers - 1]->transport->close(4000, "out", EndReason::kicked);
  here_.turn();
  here_.open_session();  // in the place that has become free, and in a new one
  here_.open_session();
  turns_until(all);
  EXPECT_EQ(results_[all]->delivered, kMembers - 1);
  EXPECT_EQ(reached("all "), kMembers - 1);
  size_t next = ask({.op = Op::send_all, .data = "next"});
  turns_until(next);
  EXPECT_EQ(results_[next]->delivered, kMembers + 1) << "newcomers are there for the next one";
}

TEST_F(PushCarrierTest, AChannelIsKickedInSlices) {
  here_.router.carrier().slice(2 * PushCarrier::kChange);
  size_t kick = ask({.op = Op::kick, .code = 4000, .channels = {"big"}});
  EXPECT_EQ(here_.sessions.live(), kMembers - 2);
  Session* newcomer = join("big");
  turns_until(kick);
  EXPECT_EQ(results_[kick]->delivered, kMembers);
  EXPECT_EQ(here_.sessions.live(), 1u);
  EXPECT_EQ(newcomer->memberships.size(), 1u);
}

TEST_F(PushCarrierTest, LongListsOfSessionsAndUsersGoInSlices) {
  Command join_all{.op = Op::join, .channels = {"other"}};
  for (Session* member : members_) join_all.sessions.push_back(member->id);
  size_t joined = ask(join_all);
  EXPECT_FALSE(results_[joined]);
  turns_until(joined);
  EXPECT_EQ(results_[joined]->delivered, kMembers);
  Command to_users{.op = Op::send_user, .data = "u"};
  for (size_t i = 0; i < kMembers; ++i) {
    to_users.users.push_back("user" + std::to_string(i));
    here_.sessions.set_user(*members_[i], to_users.users.back());
  }
  size_t sent = ask(to_users);
  EXPECT_FALSE(results_[sent]);
  EXPECT_GE(turns_until(sent), kMembers / kSlice - 1);
  EXPECT_EQ(results_[sent]->delivered, kMembers);
  EXPECT_EQ(reached("u "), kMembers);
}

// I3
TEST_F(PushCarrierTest, BeyondItsBoundOnesOwnAreRefusedAndCounted) {
  ask(publish("big", "news"));
  Command send{.op = Op::send, .sessions = {members_[0]->id}, .data = "x"};
  for (size_t i = 1; i < PushCarrier::kMaxTasks; ++i) ask(send);
  EXPECT_EQ(stats().push_refused_busy.get(), 0u);
  EXPECT_TRUE(here_.runtime.budget.congested());  // I4
  size_t refused = ask(send);
  EXPECT_EQ(results_[refused]->delivered, 0u);
  EXPECT_EQ(results_[refused]->workers_failed, 1u);
  EXPECT_EQ(results_[refused]->failed, send.sessions);
  size_t publish_refused = ask(publish("big", "late"));
  EXPECT_EQ(results_[publish_refused]->workers_failed, 1u);
  EXPECT_EQ(stats().push_refused_busy.get(), 2u);
  EXPECT_EQ(stats().push_under_way.get(), PushCarrier::kMaxTasks);
  here_.router.finish_all();
  EXPECT_EQ(stats().push_under_way.get(), 0u);
  EXPECT_FALSE(here_.runtime.budget.congested());
  EXPECT_EQ(members_[0]->messages_out, PushCarrier::kMaxTasks);
}

TEST_F(PushCarrierTest, AndByBytes) {
  ask(publish("big", "news"));
  Command send{
      .op = Op::send, .sessions = {members_[0]->id}, .data = std::string(1024 * 1024, 'x')};
  size_t last = 0;
  for (size_t i = 0; i <= PushCarrier::kMaxBytes / send.data.size(); ++i) last = ask(send);
  EXPECT_EQ(results_[last]->failed, send.sessions);
  EXPECT_EQ(stats().push_refused_busy.get(), 2u);
}

// I3
TEST_F(PushCarrierTest, WhatAnotherWorkerPushesWaitsInItsRingAndIsAllDone) {
  constexpr unsigned kPushes = 3 * PushCarrier::kMostOfAWorker;
  here_.router.carrier().slice(kMembers);  // one push a turn
  unsigned answered = 0;
  uint64_t delivered = 0;
  for (unsigned i = 0; i < kPushes; ++i)
    there_.router.execute(publish("big", std::to_string(i)), [&](CommandResult&& result) {
      ++answered;
      delivered += result.delivered;
    });
  uint64_t there = PushCarrier::source_of_worker(1);
  for (unsigned turn = 0; turn < 10 * kPushes && answered < kPushes; ++turn) {
    here_.turn();
    there_.turn();
    ASSERT_LE(here_.router.waiting(there), PushCarrier::kMostOfAWorker);
  }
  EXPECT_EQ(answered, kPushes);
  EXPECT_EQ(delivered, kPushes * kMembers);
  EXPECT_EQ(stats().push_refused_busy.get(), 0u);
  std::string expected;
  for (unsigned i = 0; i < kPushes; ++i) expected += std::to_string(i) + ' ';
  EXPECT_EQ(reached(expected), kMembers);
}

// I2
TEST_F(PushCarrierTest, FinishAllAnswersEverybody) {
  size_t first = ask(publish("big", "1"), 1);
  size_t second = ask(publish("big", "2"), 2);
  here_.router.finish_all();
  EXPECT_TRUE(results_[first] && results_[second]);
  EXPECT_TRUE(here_.router.carrier().idle());
  here_.turn();
  EXPECT_EQ(reached("1 2 "), kMembers);
}

TEST_F(PushCarrierTest, AtTheDeadlineItIsAnsweredPartialAndGoesOn) {
  here_.router.carrier().slice(1);
  size_t news = ask(publish("big", "news"));
  here_.pass(PushRouter::kReplyDeadlineMs + 100);
  ASSERT_TRUE(results_[news]);
  EXPECT_TRUE(results_[news]->partial);
  EXPECT_TRUE(settled());
  here_.turn();
  EXPECT_EQ(reached("news "), kMembers);
}

TEST_F(PushCarrierTest, ARelayIsNotReadWhileItsMessageIsOnItsWayToMany) {
  RelayBackend relay(here_.runtime, here_.sessions, here_.router);
  conf::Listen listen = here_.lines;
  listen.channels = {"big"};
  test::Peer sender = here_.connect(listen, relay);
  test::Peer other = here_.connect(listen, relay);
  sender.send("1\n");
  while (here_.router.carrier().idle()) here_.turn();
  sender.send("2\n");
  uint64_t source = Router::source_of(*here_.session_of(sender));
  EXPECT_TRUE(here_.turn_until([&] {
    EXPECT_LE(here_.router.waiting(source), 1u);
    return other.received() == "1\n2\n";
  }));
  EXPECT_TRUE(settled());
  here_.turn();
  EXPECT_EQ(reached("1 2 "), kMembers);
}

TEST_F(PushCarrierTest, AnAnswerOfTheApplicationComesBehindWhatTheSessionPublished) {
  ReplyActions actions(here_.runtime, here_.sessions, here_.router);
  auto answer = [&](std::vector<std::pair<std::string, std::string>> headers, std::string body) {
    AppAnswer given{.outcome = AppOutcome::answered, .status = 200};
    given.headers = std::move(headers);
    given.body = std::move(body);
    EXPECT_TRUE(actions.before_close(*members_[0], given));
    if (members_[0]->transport != nullptr) actions.close(*members_[0], given);
  };
  answer({{"Holdfast-Publish", "big"}}, "1");
  answer({{"Holdfast-Leave", "big"}, {"Holdfast-User", "ann"}, {"Holdfast-Data", "k=v"}}, "2");
  EXPECT_EQ(got(0), "") << "it is the last that gets it";
  answer({{"Holdfast-Close", "4001 bye"}}, "3");
  EXPECT_NE(members_[0]->transport, nullptr);
  EXPECT_TRUE(settled());
  here_.turn();
  EXPECT_EQ(got(0), "1 2 3 ");
  EXPECT_EQ(reached("1 "), kMembers - 1);
  EXPECT_EQ(here_.backend.endings, std::vector{EndReason::kicked});
}

// A subscriber that writes down what it gets, and of what.
class Listener final : public Subscriber {
 public:
  explicit Listener(Hub& hub) : hub_(hub) {}
  ~Listener() { hub_.leave_all(*this); }
  void take(NameKind kind, std::string_view name) { hub_.join(*this, reserved_name(kind, name)); }
  bool published(std::string_view channel, Payload& payload, Urgency) override {
    got += std::string(plain_name(channel)) + "=" + std::string(payload.data()) + " ";
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

TEST_F(PushCarrierTest, PatternsAreSeenWhenAPublishBeginsAndServedBehindItsChannel) {
  Listener both(here_.hub), gone(here_.hub), late(here_.hub);
  here_.hub.join(both, "big");
  both.take(NameKind::pattern, "b*");
  both.take(NameKind::pattern, "big*");
  both.take(NameKind::pattern, "x*");
  gone.take(NameKind::pattern, "?ig");
  size_t first = ask({.op = Op::publish, .channels = {"big"}, .data = "1"});
  size_t second = ask({.op = Op::publish, .channels = {"big"}, .data = "2"});
  EXPECT_FALSE(results_[first]) << "it takes several turns";
  here_.hub.leave_all(gone);
  late.take(NameKind::pattern, "b*");
  late.take(NameKind::pattern, "bi?");
  turns_until(second);
  EXPECT_EQ(both.got, "big=1 b*:big=1 big*:big=1 big=2 b*:big=2 big*:big=2 ");
  EXPECT_EQ(gone.got, "");
  EXPECT_EQ(late.got, "b*:big=2 bi?:big=2 ");
  EXPECT_EQ(results_[first]->delivered, kMembers + 3);
  EXPECT_EQ(reached("1 2 "), kMembers);
}

TEST_F(PushCarrierTest, PatternsOfANameThatNobodyIsInMayTakeSlicesToo) {
  std::vector<std::unique_ptr<Listener>> all;
  for (size_t i = 0; i < 3 * kSlice; ++i) {
    all.push_back(std::make_unique<Listener>(here_.hub));
    all.back()->take(NameKind::pattern, i % 2 ? "e*" : "*y");
  }
  size_t number = ask({.op = Op::publish, .channels = {"empty"}, .data = "1"});
  EXPECT_FALSE(results_[number]);
  turns_until(number);
  EXPECT_EQ(results_[number]->delivered, all.size());
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i]->got, i % 2 ? "e*:empty=1 " : "*y:empty=1 ");
}

TEST_F(PushCarrierTest, ShardedSubscribersGetItByTheShardAloneAlsoInSlices) {
  Listener plain(here_.hub), sharded(here_.hub), pattern(here_.hub);
  here_.hub.join(plain, "big");
  sharded.take(NameKind::shard, "big");
  pattern.take(NameKind::pattern, "*");
  size_t number = ask({.op = Op::publish,
                       .sharded = true,
                       .channels = {"big", reserved_name(NameKind::shard, "big")},
                       .data = "1"});
  turns_until(number);
  EXPECT_EQ(plain.got + pattern.got, "");
  EXPECT_EQ(sharded.got, "big=1 ");
  EXPECT_EQ(reached("1 "), kMembers);
}

}  // namespace
}  // namespace holdfast
