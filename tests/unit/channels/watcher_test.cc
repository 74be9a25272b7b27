// A watcher follows what happens to channels on its worker; RecordingWatcher is a fake of the whole interface.

#include "worker/channels/watcher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/room.h"

namespace holdfast {
namespace {

class RecordingWatcher final : public ChannelWatcher {
 public:
  void first_member(const Channel& c) override {
    seen.push_back(fmt::format("first {} {}", c.name, c.members.size()));
  }
  void last_left(std::string_view name) override { seen.push_back(fmt::format("gone {}", name)); }
  void joined(const Channel& c, const ChannelMember&) override {
    seen.push_back(fmt::format("joined {} {}", c.name, c.members.size()));
  }
  void left(const Channel& c, const ChannelMember&) override {
    seen.push_back(fmt::format("left {} {}", c.name, c.members.size()));
  }
  void published(const Channel& c, const Payload& message) override {
    seen.push_back(fmt::format("published {} {}", c.name, message.data()));
  }
  std::vector<std::string> seen;
};

using Seen = std::vector<std::string>;

class Watchers : public ::testing::Test {
 protected:
  Watchers() { room_.hub.watch(watcher_); }
  Seen seen() { return std::exchange(watcher_.seen, {}); }

  test::Instance instance_;
  test::Room room_{instance_};
  RecordingWatcher watcher_;
};

TEST_F(Watchers, HearOfTheFirstMemberAndOfTheLast) {
  Session &a = room_.open_session(), &b = room_.open_session();
  seen();
  room_.hub.join(a, "room");
  EXPECT_EQ(seen(), (Seen{"first room 0", "joined room 1"}));
  room_.hub.join(b, "room");
  room_.hub.join(b, "room");  // is one already
  EXPECT_EQ(seen(), Seen{"joined room 2"});
  room_.hub.leave(a, "room");
  room_.hub.leave(a, "room");
  EXPECT_EQ(seen(), Seen{"left room 1"});
  room_.hub.leave_all(b);
  EXPECT_EQ(seen(), (Seen{"left room 0", "gone room"}));
}

TEST_F(Watchers, HearOfAMessageOnceForEachChannel) {
  Session &a = room_.open_session(), &b = room_.open_session();
  for (Session* session : {&a, &b}) room_.hub.join(*session, "room");
  seen();
  Command command;
  command.op = Op::publish;
  command.channels = {"room", "empty"};
  command.data = "hi";
  EXPECT_EQ(room_.execute(command).delivered, 2u);
  EXPECT_EQ(seen(), Seen{"published room hi"});
}

TEST_F(Watchers, AreCalledInTheOrderOfRegistration) {
  RecordingWatcher second;
  struct Order final : ChannelWatcher {
    explicit Order(RecordingWatcher& to_be_before) : before(to_be_before) {}
    void first_member(const Channel&) override { saw = before.seen.size(); }
    RecordingWatcher& before;
    size_t saw = 0;
  } third(second);
  room_.hub.watch(second);
  room_.hub.watch(third);
  room_.hub.join(room_.open_session(), "room");
  EXPECT_EQ(third.saw, 1u);
  EXPECT_EQ(second.seen, seen());
}

TEST_F(Watchers, HearNothingOfARestoredMembership) {
  room_.hub.restore(room_.open_session(), "room", false);
  EXPECT_EQ(seen(), Seen{});
}

}  // namespace
}  // namespace holdfast
