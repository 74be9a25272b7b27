#include "worker/backends/reply_actions.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"

namespace holdfast {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

class ReplyActionsTest : public ::testing::Test {
 protected:
  void SetUp() override { session_ = room_.session_of(peer_); }
  // Carries out an answer; what the sender has been sent afterwards.
  std::string answer(Headers headers, std::string body = {}) {
    AppAnswer given{.outcome = AppOutcome::answered, .status = 200};
    given.headers = std::move(headers);
    given.body = std::move(body);
    size_t before = peer_.received().size();
    whole_ = actions_.before_close(*session_, given);
    if (session_->transport != nullptr) actions_.close(*session_, given);
    room_.turn();
    return peer_.received().substr(before);
  }
  size_t members(std::string_view channel) {
    const Channel* found = room_.hub.find(channel);
    return found == nullptr ? 0 : found->members.size();
  }
  uint64_t bad() { return room_.runtime.stats.backend_bad_headers.get(); }

  test::Instance instance_;
  test::Room room_{instance_};
  ReplyActions actions_{room_.runtime, room_.sessions, room_.router};
  test::Peer peer_ = room_.connect();
  Session* session_ = nullptr;
  bool whole_ = false;
};

TEST_F(ReplyActionsTest, BodyGoesToTheSender) {
  EXPECT_EQ(answer({}, "hello"), "hello\n");
  EXPECT_EQ(answer({}), "");
}

TEST_F(ReplyActionsTest, SoManyThingsAndNoMoreAreDoneForOneAnswer) {
  Headers headers(ReplyActions::kMostItems - 1, {"Holdfast-Data", "k=v"});
  headers.insert(headers.begin(), {"Holdfast-Join", "a, b, c"});
  headers.emplace_back("Holdfast-Publish", "a");
  EXPECT_EQ(answer(headers, "x"), "");
  EXPECT_EQ(members("c"), 1u);
  EXPECT_EQ((*session_->data)["k"], "v");
  EXPECT_EQ(bad(), 3u) << "two assignments, and the channel to publish to";
}

TEST_F(ReplyActionsTest, AssignmentsOfOneAnswerAreDoneInOrder) {
  std::string half(2'000, 'x');
  answer({{"Holdfast-Data", "a=1"},
          {"Holdfast-Data", "b=" + half},
          {"Holdfast-Data", "c=" + half},
          {"Holdfast-Data", "d=" + half},  // too much
          {"Holdfast-Data", "b="},
          {"Holdfast-Data", "e=" + half},  // there is room again
          {"Holdfast-Data", "a=2"}});
  EXPECT_EQ(bad(), 1u);
  EXPECT_EQ((*session_->data)["a"], "2");
  EXPECT_EQ(session_->data->count("b") + session_->data->count("d"), 0u);
  EXPECT_EQ(session_->data->count("c") + session_->data->count("e"), 2u);
}

TEST_F(ReplyActionsTest, UserIsBoundAndUnbound) {
  answer({{"Holdfast-User", " ann "}});
  EXPECT_EQ(session_->user, "ann");
  EXPECT_EQ(members(user_channel("ann")), 1u);
  answer({{"holdfast-user", "bob"}});
  EXPECT_EQ(members(user_channel("ann")), 0u);
  answer({{"Holdfast-User", ""}});
  EXPECT_EQ(session_->user, "");
  EXPECT_EQ(members(user_channel("bob")), 0u);
  EXPECT_EQ(bad(), 0u);
}

TEST_F(ReplyActionsTest, UserThatIsNoneIsLeftOutAndTheRestCarriedOut) {
  EXPECT_EQ(answer({{"Holdfast-User", std::string(65, 'u')}, {"Holdfast-Join", "room"}}, "x"),
            "x\n");
  EXPECT_EQ(session_->user, "");
  EXPECT_EQ(members("room"), 1u);
  EXPECT_EQ(bad(), 1u);
}

TEST_F(ReplyActionsTest, ChannelsAreJoinedAndLeft) {
  answer({{"Holdfast-Join", "a, b ,,c"}, {"Holdfast-Join", "d"}});
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(members(name), 1u) << name;
  answer({{"Holdfast-Leave", "a,nowhere, d"}});
  EXPECT_EQ(members("a") + members("d"), 0u);
  EXPECT_EQ(session_->memberships.size(), 2u);
  EXPECT_EQ(bad(), 0u);
}

TEST_F(ReplyActionsTest, ChannelThatIsNoneIsLeftOut) {
  answer({{"Holdfast-Join", "a,\x01,b"}, {"Holdfast-Join", std::string(256, 'x')}});
  EXPECT_EQ(session_->memberships.size(), 2u);
  EXPECT_EQ(bad(), 2u);
}

TEST_F(ReplyActionsTest, OneChannelTooManyIsLeftOutAndCounted) {
  std::string many = "c0";
  for (int i = 1; i < 129; ++i) many += ", c" + std::to_string(i);
  answer({{"Holdfast-Join", many}});
  EXPECT_EQ(session_->memberships.size(), 128u);
  EXPECT_EQ(bad(), 1u);
}

TEST_F(ReplyActionsTest, DataIsSetReplacedAndTakenAway) {
  answer({{"Holdfast-Data", "a=1"}, {"Holdfast-Data", "b = x=y "}});
  EXPECT_EQ(*session_->data, (SessionData{{"a", "1"}, {"b", "x=y"}}));
  answer({{"Holdfast-Data", "a="}, {"Holdfast-Data", "nothing="}, {"Holdfast-Data", "b=2"}});
  EXPECT_EQ(*session_->data, (SessionData{{"b", "2"}}));
  EXPECT_EQ(bad(), 0u);
}

TEST_F(ReplyActionsTest, DataThatIsNoAssignmentOrTooLongIsLeftOut) {
  answer({{"Holdfast-Data", "no sign"}, {"Holdfast-Data", "=value"}});
  EXPECT_EQ(bad(), 2u);
  EXPECT_EQ(session_->data, nullptr);
  answer({{"Holdfast-Data", "k=" + std::string(kMaxDataBytes - 1, 'v')}});
  EXPECT_EQ(bad(), 2u);
  answer({{"Holdfast-Data", "x=1"}});
  EXPECT_EQ(bad(), 3u);
  EXPECT_EQ(session_->data->size(), 1u);
  answer({{"Holdfast-Data", "k=short"}, {"Holdfast-Data", "x=1"}});  // replacing makes room
  EXPECT_EQ(bad(), 3u);
  EXPECT_EQ(session_->data->size(), 2u);
}

// Joins come before the body, whatever the order of the headers.
TEST_F(ReplyActionsTest, PublishReachesWhoJoinedWithTheSameAnswer) {
  Session& other = room_.open_session();
  room_.hub.join(other, "room");
  EXPECT_EQ(answer({{"Holdfast-Publish", "room"}, {"Holdfast-Join", "room"}}, "news"), "news\n");
  EXPECT_EQ(room_.others[0].received(), "news\n");
}

TEST_F(ReplyActionsTest, PublishDoesNotAnswerTheSender) {
  EXPECT_EQ(answer({{"Holdfast-Publish", "elsewhere"}}, "news"), "");
}

// The body was meant for others: a name that is none must not turn it into an answer.
TEST_F(ReplyActionsTest, PublishToNoValidChannelReachesNobody) {
  EXPECT_EQ(answer({{"Holdfast-Publish", "\x01"}}, "for others"), "");
  EXPECT_EQ(bad(), 1u);
  EXPECT_EQ(answer({{"Holdfast-Publish", ""}}, "for others"), "");
}

TEST_F(ReplyActionsTest, CloseComesAfterTheBody) {
  EXPECT_EQ(answer({{"Holdfast-Close", "4001 as you wish"}}, "bye"), "bye\n");
  EXPECT_TRUE(room_.turn_until([&] { return peer_.at_end(); }));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::kicked});
}

TEST_F(ReplyActionsTest, CloseWithoutAValidCodeIsLeftOut) {
  const char* const kBad[] = {"bye",  "-1",    "999",   "1005",         "1006",
                              "5000", "66536", "4001x", "99999999999 x"};
  for (const char* value : kBad) answer({{"Holdfast-Close", value}});
  EXPECT_EQ(bad(), std::size(kBad));
  EXPECT_TRUE(room_.backend.endings.empty());
  answer({{"Holdfast-Close", ""}});
  EXPECT_EQ(bad(), std::size(kBad));
}

TEST_F(ReplyActionsTest, BodyLongerThanAMessageMayBeIsToldAndCounted) {
  std::string longest(room_.config.limits.max_message_size, 'x');
  EXPECT_EQ(answer({}, longest).size(), longest.size() + 1);
  EXPECT_TRUE(whole_);
  EXPECT_EQ(answer({{"Holdfast-Join", "room"}}, longest + 'x'), "");
  EXPECT_FALSE(whole_);
  EXPECT_EQ(members("room"), 1u) << "its headers are carried out";
  Session& other = room_.open_session();
  room_.hub.join(other, "elsewhere");
  EXPECT_EQ(answer({{"Holdfast-Publish", "elsewhere"}}, longest + 'x'), "");
  EXPECT_FALSE(whole_);
  EXPECT_EQ(room_.others[0].received(), "");
  EXPECT_EQ(room_.runtime.stats.backend_answers_too_long.get(), 2u);
  EXPECT_EQ(bad(), 0u);
}

TEST_F(ReplyActionsTest, BodyThatTheLengthFieldCannotSayIsToldAndCounted) {
  conf::Listen devices;
  devices.protocol = conf::Protocol::tcp;
  devices.framing = conf::Framing{.size = 1, .strip = true};
  peer_ = room_.connect(devices, room_.backend);
  session_ = room_.session_of(peer_);
  EXPECT_EQ(answer({}, std::string(255, 'x')).size(), 256u);
  EXPECT_TRUE(whole_);
  EXPECT_EQ(answer({}, std::string(256, 'x')), "");
  EXPECT_FALSE(whole_);
  EXPECT_EQ(room_.runtime.stats.backend_answers_too_long.get(), 1u);
  peer_.close();
  EXPECT_TRUE(room_.turn_until([&] { return room_.connections.size() == 0; }));
}

TEST_F(ReplyActionsTest, OfAnEndedSessionOnlyPublishHasAnEffect) {
  Session& other = room_.open_session();
  room_.hub.join(other, "room");
  Session ended;
  ended.phase = SessionPhase::ended;
  AppAnswer given{.outcome = AppOutcome::answered, .status = 200};
  given.headers = {{"Holdfast-User", "ann"},
                   {"Holdfast-Join", "room"},
                   {"Holdfast-Data", "a=1"},
                   {"Holdfast-Publish", "room"},
                   {"Holdfast-Close", "4000"}};
  given.body = "left";
  EXPECT_TRUE(actions_.before_close(ended, given));
  actions_.close(ended, given);
  room_.turn();
  EXPECT_EQ(room_.others[0].received(), "left\n");
  EXPECT_EQ(members("room"), 1u);
  EXPECT_EQ(ended.user, "");
  EXPECT_EQ(ended.data, nullptr);
}

class WebReplyActionsTest : public ReplyActionsTest {};

TEST_F(WebReplyActionsTest, BodyIsBinaryWhereItsTypeSaysSoOrItIsNotText) {
  peer_ = room_.connect(room_.web, room_.backend);
  test::shake_hands(peer_);
  ASSERT_TRUE(room_.turn_until([&] { return test::behind_101(peer_).empty(); }));
  session_ = room_.session_of(peer_);
  EXPECT_EQ(answer({}, "text"), "\x81\4text");
  EXPECT_EQ(answer({{"Content-Type", "application/octet-stream"}}, "text"), "\x82\4text");
  EXPECT_EQ(answer({}, "\xff"), "\x82\1\xff");
}

}  // namespace
}  // namespace holdfast
