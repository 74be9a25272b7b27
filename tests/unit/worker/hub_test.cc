#include "worker/hub.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/unit/worker/room.h"

namespace holdfast {
namespace {

using Joined = Hub::Joined;

class HubTest : public ::testing::Test {
 protected:
  explicit HubTest(unsigned max_channels = 128) : room_(instance_, 0, config(max_channels)) {}
  static conf::Config config(unsigned max_channels) {
    conf::Config config;
    config.limits.max_channels_per_session = max_channels;
    return config;
  }
  Hub& hub() { return room_.hub; }
  bool in_filter(std::string_view name) { return instance_.segment.filter().maybe_member(0, name); }
  // I2, for every membership of every session and every member of every channel.
  void expect_consistent(const std::vector<std::unique_ptr<Session>>& sessions) {
    size_t memberships = 0;
    for (const auto& session : sessions) {
      for (size_t i = 0; i < session->memberships.size(); ++i) {
        const Session::Membership& m = session->memberships[i];
        ASSERT_LT(m.position, m.channel->members.size());
        const Channel::Member& back = m.channel->members[m.position];
        ASSERT_EQ(back.session, session.get());
        ASSERT_EQ(back.membership, i);
      }
      memberships += session->memberships.size();
    }
    size_t members = 0;
    hub().for_each_channel([&](const Channel& c) { members += c.members.size(); });
    ASSERT_EQ(members, memberships);
    ASSERT_EQ(room_.runtime.stats.memberships.get(), memberships);
  }

  test::Instance instance_;
  test::Room room_;
};

TEST_F(HubTest, ChannelIsInTheFilterExactlyWhileItHasAMember) {  // I1
  Session a, b;
  EXPECT_FALSE(in_filter("room"));
  EXPECT_EQ(hub().join(a, "room"), Joined::joined);
  EXPECT_EQ(hub().join(b, "room"), Joined::joined);
  EXPECT_TRUE(in_filter("room"));
  EXPECT_EQ(hub().find("room")->members.size(), 2u);
  EXPECT_TRUE(hub().leave(a, "room"));
  EXPECT_TRUE(in_filter("room"));
  hub().leave_all(b);
  EXPECT_FALSE(in_filter("room"));
  EXPECT_EQ(hub().find("room"), nullptr);
  EXPECT_EQ(room_.runtime.stats.channels_local.get(), 0u);
}

TEST_F(HubTest, SecondJoinChangesNothing) {
  Session a;
  EXPECT_EQ(hub().join(a, "room", true), Joined::joined);
  EXPECT_EQ(hub().join(a, "room"), Joined::already);
  EXPECT_EQ(hub().find("room")->members.size(), 1u);
  EXPECT_TRUE(hub().leave(a, "room"));
  EXPECT_FALSE(hub().leave(a, "room"));
  EXPECT_FALSE(in_filter("room"));
}

TEST_F(HubTest, UserIsAChannelThatIsNotListedAndNotCounted) {
  Session a;
  std::string ann = user_channel("ann");
  EXPECT_EQ(hub().join(a, ann), Joined::joined);
  EXPECT_TRUE(in_filter(ann));
  EXPECT_NE(hub().find(ann), nullptr);
  EXPECT_EQ(hub().find("ann"), nullptr);
  hub().for_each_channel([](const Channel& c) { FAIL() << c.name; });
  EXPECT_EQ(room_.runtime.stats.channels_local.get(), 0u);
  EXPECT_EQ(room_.runtime.stats.memberships.get(), 0u);
  EXPECT_TRUE(hub().leave(a, ann));
  EXPECT_FALSE(in_filter(ann));
}

// Joins and leaves at random against a model; every link is checked after each change.
TEST_F(HubTest, LinksHoldThroughManyJoinsAndLeaves) {  // I2
  std::mt19937 random(1234);
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 40; ++i) sessions.push_back(std::make_unique<Session>());
  std::map<std::string, std::set<Session*>> model;
  for (int round = 0; round < 5000; ++round) {
    Session& session = *sessions[random() % sessions.size()];
    std::string name = "c" + std::to_string(random() % 12);
    if (random() % 2 == 0) {
      bool fresh = model[name].insert(&session).second;
      ASSERT_EQ(hub().join(session, name), fresh ? Joined::joined : Joined::already);
    } else if (random() % 10 == 0) {
      hub().leave_all(session);
      for (auto& [channel, members] : model) members.erase(&session);
    } else {
      ASSERT_EQ(hub().leave(session, name), model[name].erase(&session) == 1);
    }
    expect_consistent(sessions);
    for (const auto& [channel, members] : model) {
      const Channel* found = hub().find(channel);
      ASSERT_EQ(found == nullptr ? 0 : found->members.size(), members.size());
      for (Session* member : members)
        ASSERT_TRUE(std::any_of(found->members.begin(), found->members.end(),
                                [&](const Channel::Member& m) { return m.session == member; }));
    }
  }
  for (auto& session : sessions) hub().leave_all(*session);
  for (const auto& [channel, members] : model) EXPECT_FALSE(in_filter(channel));
}

class HubLimitTest : public HubTest {
 protected:
  HubLimitTest() : HubTest(3) {}
};

TEST_F(HubLimitTest, RefusesOneChannelTooManyAndCountsIt) {
  Session a;
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(hub().join(a, name), Joined::joined);
  EXPECT_EQ(hub().join(a, "d"), Joined::too_many);
  EXPECT_FALSE(in_filter("d"));
  EXPECT_EQ(hub().join(a, "b"), Joined::already);
  EXPECT_EQ(room_.runtime.stats.channels_refused.get(), 1u);
  hub().leave(a, "a");
  EXPECT_EQ(hub().join(a, "d"), Joined::joined);
}

TEST_F(HubLimitTest, UserTakesNoChannelsPlace) {
  Session& a = room_.open_session();
  room_.sessions.set_user(a, "ann");
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(hub().join(a, name), Joined::joined);
  EXPECT_EQ(hub().join(a, "d"), Joined::too_many);
  room_.sessions.set_user(a, "bob");  // full of channels, and yet
  EXPECT_NE(hub().find(user_channel("bob")), nullptr);
  EXPECT_EQ(hub().find(user_channel("ann")), nullptr);
  room_.sessions.set_user(a, "");
  EXPECT_EQ(hub().find(user_channel("bob")), nullptr);
}

}  // namespace
}  // namespace holdfast
