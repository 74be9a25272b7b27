#include "worker/channels/hub.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/unit/room.h"

namespace holdfast {
namespace {

using Joined = Hub::Joined;

class SilentSubscriber final : public Subscriber {
 public:
  bool published(std::string_view, Payload&, Urgency) override { return true; }
};

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
  std::vector<std::string> names_from(std::string_view from, std::string_view after = {}) {
    std::vector<std::string> names;
    hub().for_each_from(from, after,
                        [&](const Channel& c) { return names.push_back(c.name), true; });
    return names;
  }
  // I2, for every membership of everybody and every member of every channel.
  void expect_consistent(const std::vector<ChannelMember*>& everybody) {
    size_t sessions = 0, subscriptions = 0;
    for (ChannelMember* who : everybody) {
      for (size_t i = 0; i < who->memberships.size(); ++i) {
        const ChannelMember::Membership& m = who->memberships[i];
        ASSERT_LT(m.position, m.channel->of(*who).size());
        const Channel::Member& back = m.channel->of(*who)[m.position];
        ASSERT_EQ(back.who, who);
        ASSERT_EQ(back.membership, i);
      }
      (who->session ? sessions : subscriptions) += who->memberships.size();
    }
    size_t members = 0, subscribers = 0;
    hub().for_each_from({}, {}, [&](const Channel& c) {
      members += c.members.size();
      subscribers += c.subscribers.size();
      return true;
    });
    ASSERT_EQ(members, sessions);
    ASSERT_EQ(subscribers, subscriptions);
    ASSERT_EQ(room_.runtime.stats.memberships.get(), sessions);
    ASSERT_EQ(room_.runtime.stats.subscriptions.get(), subscriptions);
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
  EXPECT_EQ(names_from("\x01"), std::vector<std::string>{}) << "channels begin behind the users";
  EXPECT_EQ(names_from({}), std::vector{ann});
  EXPECT_EQ(room_.runtime.stats.channels_local.get(), 0u);
  EXPECT_EQ(room_.runtime.stats.memberships.get(), 0u);
  EXPECT_TRUE(hub().leave(a, ann));
  EXPECT_FALSE(in_filter(ann));
}

TEST_F(HubTest, ListsChannelsByNameFromAnyPoint) {
  Session a;
  for (const char* name : {"b", "room2", "a", "room1", "z"}) hub().join(a, name);
  hub().join(a, user_channel("ann"));
  using Names = std::vector<std::string>;
  EXPECT_EQ(names_from("\x01"), (Names{"a", "b", "room1", "room2", "z"}));
  EXPECT_EQ(names_from("b"), (Names{"b", "room1", "room2", "z"}));
  EXPECT_EQ(names_from("room"), (Names{"room1", "room2", "z"}));
  EXPECT_EQ(names_from("room", "room1"), (Names{"room2", "z"}));
  EXPECT_EQ(names_from("room", "b"), (Names{"room1", "room2", "z"}));
  EXPECT_EQ(names_from("room", "rooms"), (Names{"z"}));
  EXPECT_EQ(names_from("zz"), Names{});
  hub().leave_all(a);
}

// I3: whoever was in from the first to the last is given out exactly once, who came meanwhile never, whatever moves.
TEST_F(HubTest, AWalkGivesOutThoseWhoStayedOnceAmidJoinsAndLeaves) {
  std::mt19937 random(99);
  std::vector<std::unique_ptr<SilentSubscriber>> everybody(60);
  for (auto& who : everybody) who = std::make_unique<SilentSubscriber>();
  auto inside = [](const SilentSubscriber& who) { return !who.memberships.empty(); };
  for (int round = 0; round < 300; ++round) {
    for (auto& who : everybody)
      if (!inside(*who) && random() % 2 == 0) hub().join(*who, "room");
    hub().join(*everybody[0], "room");
    std::set<ChannelMember*> stayed;
    std::map<ChannelMember*, int> given;
    for (auto& who : everybody)
      if (inside(*who)) stayed.insert(who.get());
    std::set<ChannelMember*> at_first = stayed;
    hub().begin_walk(*hub().find("room"));
    for (bool over = false; !over;) {
      for (unsigned n = random() % 4; n > 0 && !over; --n) {
        ChannelMember* who = hub().next_of_walk(true);
        over = who == nullptr;
        if (!over) ++given[who];
      }
      SilentSubscriber& one = *everybody[random() % everybody.size()];
      if (inside(one)) {
        hub().leave(one, "room");
        stayed.erase(&one);
      } else {
        hub().join(one, "room");
      }
    }
    hub().end_walk();
    for (ChannelMember* who : stayed) ASSERT_EQ(given[who], 1);
    for (auto& [who, times] : given) ASSERT_LE(times, at_first.count(who) ? 1 : 0);
  }
  for (auto& who : everybody) hub().leave_all(*who);
}

// Joins and leaves of sessions and subscribers at random against a model; every link is checked after each change.
TEST_F(HubTest, LinksHoldThroughManyJoinsAndLeaves) {  // I2
  std::mt19937 random(1234);
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::unique_ptr<SilentSubscriber>> subscribers;
  std::vector<ChannelMember*> everybody;
  for (int i = 0; i < 30; ++i)
    everybody.push_back(sessions.emplace_back(std::make_unique<Session>()).get());
  for (int i = 0; i < 10; ++i)
    everybody.push_back(subscribers.emplace_back(std::make_unique<SilentSubscriber>()).get());
  std::map<std::string, std::set<ChannelMember*>> model;
  for (int round = 0; round < 5000; ++round) {
    ChannelMember& who = *everybody[random() % everybody.size()];
    std::string name = "c" + std::to_string(random() % 12);
    if (random() % 2 == 0) {
      bool fresh = model[name].insert(&who).second;
      ASSERT_EQ(hub().join(who, name), fresh ? Joined::joined : Joined::already);
    } else if (random() % 10 == 0) {
      hub().leave_all(who);
      for (auto& [channel, members] : model) members.erase(&who);
    } else {
      ASSERT_EQ(hub().leave(who, name), model[name].erase(&who) == 1);
    }
    expect_consistent(everybody);
    for (const auto& [channel, members] : model) {
      const Channel* found = hub().find(channel);
      ASSERT_EQ(found == nullptr ? 0 : found->members.size() + found->subscribers.size(),
                members.size());
    }
  }
  for (ChannelMember* who : everybody) hub().leave_all(*who);
  for (const auto& [channel, members] : model) EXPECT_FALSE(in_filter(channel));
}

class HubLimitTest : public HubTest {
 protected:
  HubLimitTest() : HubTest(3) {}
};

TEST_F(HubLimitTest, RefusesOneChannelTooManyAndCountsIt) {
  Session a;
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(hub().join(a, name), Joined::joined);
  std::string one_more = "d";
  while (in_filter(one_more))
    one_more += "d";  // with a key of its own, each segment has other neighbours
  EXPECT_EQ(hub().join(a, one_more), Joined::too_many);
  EXPECT_FALSE(in_filter(one_more));
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

TEST_F(HubLimitTest, DoesNotBindSubscribers) {
  SilentSubscriber subscriber;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(hub().join(subscriber, "c" + std::to_string(i)), Joined::joined);
  hub().leave_all(subscriber);
}

}  // namespace
}  // namespace holdfast
