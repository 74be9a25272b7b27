// Publishes to channels with a stream: positions, bounds, homes that change.
#include <algorithm>

#include "tests/unit/routing/router_fixture.h"

namespace holdfast {
namespace {

conf::Config kept(unsigned size, uint64_t ttl_ms = 0, size_t bytes = 1024 * 1024) {
  conf::Config config;
  config.channels.push_back({.pattern = "kept.*",
                             .history_size = size,
                             .history_ttl_ms = ttl_ms,
                             .history_bytes = bytes});
  return config;
}

class StreamsTest : public RouterTest {
 protected:
  explicit StreamsTest(const conf::Config& config = kept(5)) : RouterTest(config) {
    give_all_to(0);
  }
  void give_all_to(uint16_t slot) {
    shm::StreamSpace space = instance_.segment.streams();
    for (uint32_t shard = 0; shard < space.shards(); ++shard) space.give(shard, slot);
  }
  CommandResult ask(const Command& command) {
    execute(command);
    EXPECT_TRUE(answered());
    return result_.value_or(CommandResult{});
  }
  Placed place(const std::string& channel, const std::string& data, uint64_t version = 0) {
    Command command = publish(channel, data);
    command.version = version;
    CommandResult result = ask(command);
    EXPECT_EQ(result.positions.size(), 1u);
    return result.positions.empty() ? Placed{} : result.positions.front();
  }
  CommandResult history(const std::string& channel, Position since = {}, bool reverse = false,
                        uint32_t limit = 100) {
    Command command{.op = Op::history, .reverse = reverse};
    command.at = since;
    command.channels = {channel};
    command.page.limit = limit;
    return ask(command);
  }
  static std::vector<std::string> data_of(const CommandResult& result) {
    std::vector<std::string> list;
    for (const KeptMessage& message : result.kept) list.push_back(message.data);
    return list;
  }
  using Texts = std::vector<std::string>;
};

TEST_F(StreamsTest, OffsetsCountFromOneAtWhicheverWorker) {
  Position first = place("kept.a", "one").at;
  EXPECT_TRUE(first.known());
  EXPECT_EQ(first.offset, 1u);
  std::optional<CommandResult> far;
  there_.router.execute(publish("kept.a", "two"), [&](CommandResult&& r) { far = std::move(r); });
  ASSERT_TRUE(both_turn_until([&] { return far.has_value(); }));
  ASSERT_EQ(far->positions.size(), 1u);
  EXPECT_EQ(far->positions[0].at, (Position{first.epoch, 2}));
  EXPECT_EQ(place("kept.a", "three").at, (Position{first.epoch, 3}));
  EXPECT_NE(place("kept.b", "x").at.epoch, first.epoch);
}

TEST_F(StreamsTest, OtherChannelsHaveNoPosition) {
  EXPECT_TRUE(ask(publish("other", "x")).positions.empty());
  EXPECT_FALSE(history("other").stream);
}

TEST_F(StreamsTest, MembersOfAllWorkersGetItOnceAndAreCounted) {
  here_.hub.join(here_.open_session(), "kept.a");
  there_.hub.join(there_.open_session(), "kept.a");
  for (uint16_t home = 0; home < 2; ++home) {
    give_all_to(home);
    EXPECT_EQ(ask(publish("kept.a", "home" + std::to_string(home))).delivered, 2u);
  }
  ASSERT_TRUE(both_turn_until([&] { return lines_of(there_, 0).ends_with("home1\n"); }));
  EXPECT_EQ(lines_of(here_, 0), "home0\nhome1\n");
  EXPECT_EQ(lines_of(there_, 0), "home0\nhome1\n");
}

TEST_F(StreamsTest, OneCommandForSeveralChannelsHasAPositionForEach) {
  give_all_to(1);
  Command command = publish("kept.a", "x");
  command.channels = {"kept.a", "plain", "kept.b", "kept.c"};
  here_.hub.join(here_.open_session(), "plain");
  CommandResult result = ask(command);
  EXPECT_EQ(result.positions.size(), 3u);
  EXPECT_EQ(result.delivered, 1u);
}

TEST_F(StreamsTest, KeepsTheNewest) {
  for (int i = 1; i <= 8; ++i) place("kept.a", std::to_string(i));
  CommandResult result = history("kept.a");
  EXPECT_EQ(data_of(result), (Texts{"4", "5", "6", "7", "8"}));
  ASSERT_TRUE(result.stream);
  EXPECT_EQ(result.stream->top.offset, 8u);
  EXPECT_EQ(result.stream->first, 4u);
  EXPECT_EQ(result.kept.front().offset, 4u);
}

TEST_F(StreamsTest, ReadsAfterAndBeforeAPosition) {
  uint64_t epoch = 0;
  for (int i = 1; i <= 5; ++i) epoch = place("kept.a", std::to_string(i)).at.epoch;
  EXPECT_EQ(data_of(history("kept.a", {epoch, 3})), (Texts{"4", "5"}));
  EXPECT_EQ(data_of(history("kept.a", {epoch, 5})), Texts{});
  EXPECT_EQ(data_of(history("kept.a", {epoch, 9})), Texts{});
  EXPECT_EQ(data_of(history("kept.a", {epoch, 3}, true)), (Texts{"2", "1"}));
  EXPECT_EQ(data_of(history("kept.a", {}, true, 2)), (Texts{"5", "4"}));
  EXPECT_EQ(data_of(history("kept.a", {epoch, 0}, true)), Texts{});
  EXPECT_EQ(data_of(history("kept.a", {epoch + 1, 3})), (Texts{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(data_of(history("kept.a", {}, false, 2)), (Texts{"1", "2"}));
}

TEST_F(StreamsTest, AnOlderVersionIsDroppedWithoutAnOffset) {
  here_.hub.join(here_.open_session(), "kept.a");
  Placed first = place("kept.a", "v7", 7);
  EXPECT_FALSE(first.superseded);
  for (uint64_t version : {7, 3}) {
    Placed old = place("kept.a", "old", version);
    EXPECT_TRUE(old.superseded);
    EXPECT_EQ(old.at, first.at);
  }
  EXPECT_EQ(place("kept.a", "v8", 8).at.offset, 2u);
  EXPECT_EQ(place("kept.a", "without").at.offset, 3u);
  EXPECT_TRUE(place("kept.a", "v8 again", 8).superseded);
  ASSERT_TRUE(both_turn_until([&] { return lines_of(here_, 0).ends_with("without\n"); }));
  EXPECT_EQ(lines_of(here_, 0), "v7\nv8\nwithout\n");
}

TEST_F(StreamsTest, WithoutHistoryThereIsNoPosition) {
  here_.hub.join(here_.open_session(), "kept.a");
  Command command = publish("kept.a", "passing");
  command.unkept = true;
  CommandResult result = ask(command);
  EXPECT_TRUE(result.positions.empty());
  EXPECT_EQ(result.delivered, 1u);
  EXPECT_EQ(place("kept.a", "kept").at.offset, 1u);
}

TEST_F(StreamsTest, EmptyingKeepsTheOffset) {
  Position at = place("kept.a", "one").at;
  Command command{.op = Op::empty};
  command.channels = {"kept.a"};
  CommandResult result = ask(command);
  ASSERT_TRUE(result.stream);
  EXPECT_EQ(result.stream->top, at);
  EXPECT_EQ(result.stream->messages, 0u);
  EXPECT_EQ(data_of(history("kept.a")), Texts{});
  EXPECT_EQ(place("kept.a", "two").at, (Position{at.epoch, 2}));
}

TEST_F(StreamsTest, AnotherHomeGoesOn) {
  Position at = place("kept.a", "one").at;
  place("kept.a", "two");
  // A new process of the slot, or of another one: it builds its index from the blocks.
  test::Room next(instance_, 0, kept(5));
  CommandResult result = next.execute(publish("kept.a", "three"));
  ASSERT_EQ(result.positions.size(), 1u);
  EXPECT_EQ(result.positions[0].at, (Position{at.epoch, 3}));
  Command question{.op = Op::history};
  question.channels = {"kept.a"};
  question.page.limit = 10;
  EXPECT_EQ(data_of(next.execute(question)), (Texts{"one", "two", "three"}));
}

TEST_F(StreamsTest, AVersionOutlivesItsHome) {
  place("kept.a", "v5", 5);
  test::Room next(instance_, 0, kept(5));
  Command command = publish("kept.a", "v5 again");
  command.version = 5;
  CommandResult result = next.execute(command);
  ASSERT_EQ(result.positions.size(), 1u);
  EXPECT_TRUE(result.positions[0].superseded);
}

// The publisher does not know it yet, or the part was under way.
TEST_F(StreamsTest, AFormerHomePassesPartsOn) {
  Position at = place("kept.a", "one").at;
  std::vector<uint64_t> offsets;
  auto note = [&](CommandResult&& r) {
    for (const Placed& p : r.positions) offsets.push_back(p.at.offset);
  };
  there_.router.execute(publish("kept.a", "two"), note);  // on its way to slot 0
  here_.router.streams().give_away(1);
  there_.router.execute(publish("kept.a", "three"),
                        note);  // goes the same way, so that it stays behind
  ASSERT_TRUE(both_turn_until([&] { return offsets.size() == 2; }));
  EXPECT_EQ(offsets, (std::vector<uint64_t>{2, 3}));
  CommandResult result = history("kept.a", {at.epoch, 1});
  EXPECT_EQ(data_of(result), (Texts{"two", "three"}));
  EXPECT_EQ(result.answered_by, 1u);
}

class ByteBound : public StreamsTest {
 protected:
  ByteBound() : StreamsTest(kept(1'000, 0, 2'048)) {}
};

TEST_F(ByteBound, TheOldestGo) {
  for (int i = 0; i < 10; ++i) place("kept.a", std::string(400, char('0' + i)));
  CommandResult result = history("kept.a");
  ASSERT_TRUE(result.stream);
  EXPECT_EQ(result.kept.size(), 4u);
  EXPECT_LE(result.stream->bytes, 2'048u);
  EXPECT_EQ(result.kept.back().data, std::string(400, '9'));
}

TEST_F(ByteBound, AMessageThatIsTooLargeLeavesNoHole) {
  place("kept.a", "small");
  Position at = place("kept.a", std::string(3'000, 'x')).at;
  EXPECT_EQ(at.offset, 2u);
  CommandResult result = history("kept.a");
  ASSERT_TRUE(result.stream);
  EXPECT_EQ(result.stream->first, 0u);
  EXPECT_TRUE(result.kept.empty());
  EXPECT_EQ(stats().streams_too_large.get(), 1u);
  EXPECT_EQ(place("kept.a", "small").at.offset, 3u);
}

class Crowded : public StreamsTest {
 protected:
  Crowded() : StreamsTest(kept(100'000)) {}
};

// Two shards of 4 MiB: what a busy channel takes is taken from itself before anything is taken from quiet ones.
TEST_F(Crowded, TheGreatestLoseFirst) {
  Texts quiet;
  for (int i = 0; i < 50; ++i) {
    quiet.push_back("kept.quiet" + std::to_string(i));
    place(quiet.back(), std::string(200, 'q'));
  }
  std::string data(1'000, 'b');
  for (int channel = 0; channel < 12; ++channel)
    for (int i = 0; i < 1'100; ++i) place("kept.busy" + std::to_string(channel), data);
  for (const std::string& channel : quiet) EXPECT_EQ(history(channel).kept.size(), 1u) << channel;
  EXPECT_GT(stats().streams_early.get(), 1'000u);
  EXPECT_EQ(stats().streams_forgotten.get(), 0u);
  uint64_t early = 0;
  for (int channel = 0; channel < 12; ++channel)
    early += history("kept.busy" + std::to_string(channel)).stream->early;
  EXPECT_EQ(early, stats().streams_early.get());
}

TEST_F(Crowded, ChannelsWithoutMessagesAreForgottenForThoseThatHaveSome) {
  Command empty{.op = Op::empty};
  Position first = place("kept.0", "x").at;
  for (int i = 0; i < 110'000; ++i) {
    Command command = publish("kept." + std::to_string(i), "x");
    here_.router.execute(command, nullptr);
    empty.channels = command.channels;
    here_.router.execute(empty, nullptr);
  }
  EXPECT_GT(stats().streams_forgotten.get(), 0u);
  EXPECT_EQ(stats().streams_early.get(), 0u);
  Position again = place("kept.0", "x").at;
  EXPECT_EQ(again.offset, 1u);
  EXPECT_NE(again.epoch, first.epoch);
}

class ShortLived : public StreamsTest {
 protected:
  ShortLived() : StreamsTest(kept(100, 1)) {}
};

TEST_F(ShortLived, MessagesThatAreTooOldAreNotGivenOut) {
  Position at = place("kept.a", "x").at;
  ASSERT_TRUE(test::eventually([&] { return history("kept.a").kept.empty(); }));
  CommandResult result = history("kept.a");
  EXPECT_EQ(result.stream->top, at);  // a quiet channel's position does not age
  EXPECT_EQ(place("kept.a", "y").at, (Position{at.epoch, 2}));
}

}  // namespace
}  // namespace holdfast
