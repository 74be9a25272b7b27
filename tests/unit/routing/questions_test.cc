// What the router answers about sessions, users and channels of two workers.

#include <map>
#include <set>

#include "tests/unit/routing/router_fixture.h"
#include "worker/routing/result_record.h"

namespace holdfast {
namespace {

class SilentSubscriber final : public Subscriber {
 public:
  bool published(std::string_view, Payload& payload, Urgency) override {
    got += payload.data();
    return true;
  }
  std::string got;
};

class QuestionsTest : public RouterTest {
 protected:
  const CommandResult& ask(const Command& command) {
    execute(command);
    EXPECT_TRUE(answered());
    return *result_;
  }
  static Command members(std::string channel, uint32_t limit, uint64_t position = 0) {
    return {.op = Op::list_members,
            .channels = {std::move(channel)},
            .page = {.limit = limit, .position = position}};
  }
  // All pages of a channel's members; what `between` does happens between two of them.
  std::map<shm::SessionId, int, decltype([](const shm::SessionId& a, const shm::SessionId& b) {
             return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
           })>
  all_members(uint32_t limit, const std::function<void()>& between) {
    decltype(all_members(limit, between)) seen;
    uint64_t position = 0;
    for (;;) {
      const CommandResult& page = ask(members("room", limit, position));
      EXPECT_LE(page.listed.size(), limit);
      for (const MemberView& m : page.listed) {
        EXPECT_GT(m.position, position);
        position = m.position;
        ++seen[m.id];
      }
      if (!page.more) return seen;
      EXPECT_EQ(page.listed.size(), limit);
      between();
    }
  }
};

TEST_F(QuestionsTest, ListOfChannelsComesInPiecesAndIsSummedAndSorted) {
  Session& near = here_.open_session();
  Session& far = there_.open_session();
  here_.hub.join(near, "b");
  there_.hub.join(far, "b");
  std::vector<std::string> long_names;
  for (int i = 0; i < 120; ++i) {
    long_names.push_back(fmt::format("{:03}{}", i, std::string(252, 'n')));
    there_.hub.join(far, long_names.back());
  }
  execute({.op = Op::list_channels, .page = {.limit = 1000}});
  ASSERT_TRUE(answered());
  EXPECT_GT(stats().push_received.get(), 1u) << "one piece was enough; make the list longer";
  ASSERT_EQ(result_->names.size(), 121u);
  for (size_t i = 0; i < 120; ++i) EXPECT_EQ(result_->names[i].name, long_names[i]);
  EXPECT_EQ(result_->names[120].name, "b");
  EXPECT_EQ(result_->names[120].members, 2u);
  EXPECT_FALSE(result_->partial);
}

TEST_F(QuestionsTest, ChannelsComeInPagesThatNeitherLeaveOutNorRepeat) {
  std::set<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    std::string name = "c" + std::to_string(i);
    if (i % 2 == 0) here_.hub.join(here_.open_session(), name);
    if (i % 3 == 0) there_.hub.join(there_.open_session(), name);
    if (i % 2 == 0 || i % 3 == 0) expected.insert(name);
  }
  std::vector<std::string> listed;
  std::string after;
  for (bool more = true; more;) {
    const CommandResult& page =
        ask({.op = Op::list_channels, .page = {.limit = 7, .prefix = "c", .after = after}});
    for (const NameCount& c : page.names) {
      int number = std::stoi(c.name.substr(1));
      EXPECT_EQ(c.members, uint64_t(number % 2 == 0) + uint64_t(number % 3 == 0)) << c.name;
      listed.push_back(c.name);
    }
    more = page.more;
    EXPECT_TRUE(!more || page.names.size() == 7);
    ASSERT_LE(listed.size(), expected.size());
    after = listed.back();
  }
  EXPECT_EQ(listed, std::vector<std::string>(expected.begin(), expected.end()));
}

TEST_F(QuestionsTest, UsersAreListedByNameWithTheirSessions) {
  here_.sessions.set_user(here_.open_session(), "ann");
  there_.sessions.set_user(there_.open_session(), "ann");
  there_.sessions.set_user(there_.open_session(), "bob");
  here_.hub.join(here_.open_session(), "ann");  // a channel of that name is none of them
  const CommandResult& all = ask({.op = Op::list_users, .page = {.limit = 10}});
  EXPECT_EQ(all.names, (std::vector<NameCount>{{"ann", 2}, {"bob", 1}}));
  EXPECT_EQ(ask({.op = Op::list_users, .page = {.limit = 10, .prefix = "b"}}).names.size(), 1u);
  EXPECT_EQ(ask({.op = Op::list_users, .page = {.limit = 10, .after = "ann"}}).names,
            (std::vector<NameCount>{{"bob", 1}}));
}

TEST_F(QuestionsTest, MembersOfAChannelAreCountedAndListedOnceAcrossWorkers) {
  for (int i = 0; i < 25; ++i) here_.hub.join(here_.open_session(), "room");
  for (int i = 0; i < 18; ++i) there_.hub.join(there_.open_session(), "room");
  EXPECT_EQ(ask(members("room", 0)).members, 43u);
  EXPECT_FALSE(result_->more);
  auto seen = all_members(10, [] {});
  EXPECT_EQ(seen.size(), 43u);
  for (const auto& [id, times] : seen) EXPECT_EQ(times, 1);
  EXPECT_EQ(ask(members("nobody", 10)).members, 0u);
}

// Members that leave move others: those who stay are listed all the same.
TEST_F(QuestionsTest, WhoStaysIsListedAlsoWhileOthersLeave) {
  std::vector<Session*> staying, leaving;
  for (int i = 0; i < 60; ++i) {
    Session& session = here_.open_session();
    here_.hub.join(session, "room");
    (i % 2 == 0 ? staying : leaving).push_back(&session);
  }
  auto seen = all_members(4, [&] {
    for (int n = 0; n < 2 && !leaving.empty(); ++n) {
      here_.hub.leave(*leaving[leaving.size() / 2], "room");
      leaving.erase(leaving.begin() + std::ptrdiff_t(leaving.size() / 2));
    }
  });
  for (Session* session : staying) EXPECT_GE(seen[session->id], 1);
}

TEST_F(QuestionsTest, SessionIsDescribedByItsOwnWorker) {
  Session& far = there_.open_session();
  there_.hub.join(far, "room2");
  there_.hub.join(far, "room1");
  there_.sessions.set_user(far, "ann");
  there_.sessions.set_data(far, {{"theme", "dark"}}, false);
  const CommandResult& answer = ask({.op = Op::get_session, .sessions = {far.id}});
  ASSERT_TRUE(answer.session);
  EXPECT_EQ(answer.session->channels, (std::vector<std::string>{"room1", "room2"}));
  EXPECT_EQ(answer.session->data,
            (std::vector<std::pair<std::string, std::string>>{{"theme", "dark"}}));
  Session& bare = there_.open_session();
  EXPECT_TRUE(ask({.op = Op::get_session, .sessions = {bare.id}}).session)
      << "one without channels and data is known all the same";
}

TEST_F(QuestionsTest, DataIsSetMergedAndRefusedAsAWhole) {
  Session& far = there_.open_session();
  auto data = [&](bool merge, std::vector<std::pair<std::string, std::string>> pairs) {
    return ask({.op = Op::data, .merge = merge, .sessions = {far.id}, .pairs = std::move(pairs)})
        .delivered;
  };
  EXPECT_EQ(data(true, {{"a", "1"}, {"b", "2"}}), 1u);
  EXPECT_EQ(data(true, {{"a", ""}, {"c", "3"}}), 1u);
  EXPECT_EQ(*far.data, (SessionData{{"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(data(true, {{"b", ""}, {"d", std::string(kMaxDataBytes, 'x')}}), 0u);
  EXPECT_EQ(result_->refused, 1u);
  EXPECT_EQ(*far.data, (SessionData{{"b", "2"}, {"c", "3"}})) << "nothing of it was done";
  EXPECT_EQ(data(false, {{"e", "5"}}), 1u);
  EXPECT_EQ(*far.data, (SessionData{{"e", "5"}}));
  EXPECT_EQ(data(false, {}), 1u);
  EXPECT_EQ(far.data, nullptr);
}

TEST_F(QuestionsTest, UnknownSessionOfAnotherWorkerIsNamed) {
  Session& far = there_.open_session();
  shm::SessionId id = far.id;
  execute({.op = Op::join, .sessions = {id}, .channels = {"room"}});
  far.transport->close(1000, "", EndReason::kicked);  // before the record is read
  ASSERT_TRUE(answered());
  EXPECT_EQ(result_->delivered, 0u);
  EXPECT_EQ(result_->unknown, std::vector{id});
}

TEST_F(QuestionsTest, SubscribersGetWhatIsPublishedAndAreCountedApart) {
  SilentSubscriber near, far;
  here_.hub.join(near, "room");
  there_.hub.join(far, "room");
  there_.hub.join(there_.open_session(), "room");
  EXPECT_EQ(ask(publish("room", "news")).delivered, 3u);
  EXPECT_EQ(near.got, "news");
  EXPECT_EQ(far.got, "news");
  const CommandResult& list = ask({.op = Op::list_channels, .page = {.limit = 10}});
  EXPECT_EQ(list.names, (std::vector<NameCount>{{"room", 1, 2, 1}}));
  ask({.op = Op::send_all, .data = "all"});
  EXPECT_EQ(near.got, "news") << "sessions only";
  here_.hub.leave_all(near);
  there_.hub.leave_all(far);
}

TEST(ResultRecord, ComesBackInAsManyPiecesAsItNeeds) {
  CommandResult result;
  result.delivered = 3;
  result.refused = 2;
  result.members = 1;
  result.more = true;
  result.unknown = {{7, 8}};
  for (int i = 0; i < 50; ++i) {
    result.names.push_back({"name" + std::to_string(i), uint64_t(i), 2, 3});
    result.listed.push_back({uint64_t(i), {1, uint64_t(i)}, "user"});
  }
  result.session = SessionDetail{{"a", "b"}, {{"key", "value"}}};
  std::vector<std::string> records = result_records(42, result, 200);
  EXPECT_GT(records.size(), 10u);
  CommandResult back;
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_LE(records[i].size(), 200u);
    uint64_t token = 0;
    bool last = false;
    ASSERT_TRUE(read_record_token(records[i], &token));
    EXPECT_EQ(token, 42u);
    ASSERT_TRUE(merge_record(records[i], back, &last));
    EXPECT_EQ(last, i + 1 == records.size());
  }
  EXPECT_EQ(back.delivered, 3u);
  EXPECT_EQ(back.refused, 2u);
  EXPECT_EQ(back.members, 1u);
  EXPECT_TRUE(back.more);
  EXPECT_EQ(back.unknown, result.unknown);
  EXPECT_EQ(back.names, result.names);
  ASSERT_EQ(back.listed.size(), 50u);
  EXPECT_EQ(back.listed[49].position, 49u);
  EXPECT_EQ(back.listed[49].user, "user");
  ASSERT_TRUE(back.session);
  EXPECT_EQ(back.session->channels, result.session->channels);
  EXPECT_EQ(back.session->data, result.session->data);
}

TEST(ResultRecord, CutOrOfAnUnknownKindIsRefused) {
  CommandResult result;
  result.names = {{"name", 1, 2, 3}};
  std::string record = result_records(1, result, 1000)[0];
  for (size_t n = 0; n < record.size(); ++n) {
    CommandResult back;
    bool last = false;
    bool head_only = n == 42;  // an answer without items
    EXPECT_EQ(merge_record(std::string_view(record).substr(0, n), back, &last), head_only) << n;
  }
  record[42] = 99;
  CommandResult back;
  bool last = false;
  EXPECT_FALSE(merge_record(record, back, &last));
}

}  // namespace
}  // namespace holdfast
