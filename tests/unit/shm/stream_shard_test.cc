#include "shm/stream_shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace holdfast::shm {
namespace {

// A shard in this process's own memory.
class StreamShardTest : public ::testing::Test {
 protected:
  using Blocks = std::map<uint32_t, std::pair<BlockKind, uint32_t>>;  // kind, channel's block

  Blocks walk(StreamShard& shard) {
    Blocks found;
    sound_ = shard.walk([&](BlockKind kind, uint32_t block, uint32_t channel) {
      found[block] = {kind, channel};
    });
    return found;
  }
  // As the next home sees it.
  Blocks walk_anew() {
    StreamShard other(head_, bytes_.get(), nullptr);
    return walk(other);
  }

  struct Free {
    void operator()(char* p) const { ::operator delete[](p, std::align_val_t{kPage}); }
  };
  std::unique_ptr<char[], Free> bytes_{
      new (::operator new[](kShardBytes, std::align_val_t{kPage})) char[kShardBytes]()};
  ShardHead head_{};
  StreamShard shard_{head_, bytes_.get(), nullptr};
  bool sound_ = true;
};

TEST_F(StreamShardTest, IsEmptyAtFirst) {
  EXPECT_TRUE(walk(shard_).empty());
  EXPECT_TRUE(sound_);
}

TEST_F(StreamShardTest, ReturnsWhatWasAdded) {
  uint32_t channel = shard_.add_channel("room", 0x123456789abc, 77);
  ASSERT_NE(channel, kNoBlock);
  uint32_t block = shard_.add_message(channel, {5, 1'000, 1, "hello"});
  ASSERT_NE(block, kNoBlock);
  EXPECT_EQ(shard_.name(channel), "room");
  EXPECT_EQ(shard_.channel(channel).epoch, 0x123456789abcu);
  StreamShard::Message message = shard_.message(block);
  EXPECT_EQ(message.offset, 5u);
  EXPECT_EQ(message.time_ms, 1'000u);
  EXPECT_EQ(message.flags, 1u);
  EXPECT_EQ(message.data, "hello");
  EXPECT_EQ(walk_anew(),
            (Blocks{{channel, {BlockKind::channel, 0}}, {block, {BlockKind::message, channel}}}));
}

// The target of the design: payload and 48 bytes.
TEST_F(StreamShardTest, AMessageTakesAtMost48BytesMoreThanItsPayload) {
  for (size_t bytes : {0, 1, 15, 16, 17, 100, 192, 1000})
    EXPECT_LE(StreamShard::message_bytes(bytes), bytes + 48) << bytes;
}

TEST_F(StreamShardTest, FreedRoomIsUsedAgain) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  std::string data(100, 'x');
  uint32_t block = shard_.add_message(channel, {1, 0, 0, data});
  uint64_t used = head_.used;
  for (uint64_t offset = 2; offset < 1'000; ++offset) {
    shard_.free(block);
    block = shard_.add_message(channel, {offset, 0, 0, data});
    ASSERT_EQ(head_.used, used);
  }
}

TEST_F(StreamShardTest, ALargeFreeBlockIsCut) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  uint32_t large = shard_.add_message(channel, {1, 0, 0, std::string(1'000, 'x')});
  shard_.add_message(channel, {2, 0, 0, "behind it"});
  shard_.free(large);
  uint32_t small = shard_.add_message(channel, {3, 0, 0, "small"});
  EXPECT_EQ(small, large);
  uint32_t other = shard_.add_message(channel, {4, 0, 0, std::string(500, 'y')});
  EXPECT_GT(other, small);
  EXPECT_LT(other, large + 1'032 / kGranule);
  EXPECT_EQ(shard_.message(small).data, "small");
}

TEST_F(StreamShardTest, GatheredBlocksTakeALargeMessage) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  std::string data(4'000, 'x');
  std::vector<uint32_t> blocks;
  for (uint32_t block; (block = shard_.add_message(channel, {1, 0, 0, data})) != kNoBlock;)
    blocks.push_back(block);
  ASSERT_GT(blocks.size(), 900u);
  for (size_t i = 10; i < 20; ++i) shard_.free(blocks[i]);
  std::string large(30'000, 'y');
  EXPECT_EQ(shard_.add_message(channel, {2, 0, 0, large}), kNoBlock);
  shard_.gather();
  uint32_t block = shard_.add_message(channel, {2, 0, 0, large});
  ASSERT_NE(block, kNoBlock);
  EXPECT_EQ(shard_.message(block).data, large);
}

TEST_F(StreamShardTest, GatheringGivesTheEndBack) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  uint64_t used = head_.used;
  std::vector<uint32_t> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back(shard_.add_message(channel, {1, 0, 0, "x"}));
  for (uint32_t block : blocks) shard_.free(block);
  shard_.gather();
  EXPECT_EQ(head_.used, used);
}

TEST_F(StreamShardTest, MessagesThatCannotFitAreRefused) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  std::string data(kShardBytes, 'x');
  EXPECT_EQ(shard_.add_message(channel, {1, 0, 0, data}), kNoBlock);
  data.resize(kShardBytes - 4'096);
  EXPECT_NE(shard_.add_message(channel, {1, 0, 0, data}), kNoBlock);
}

TEST_F(StreamShardTest, BytesThatMakeNoSenseEmptyIt) {
  uint32_t channel = shard_.add_channel("room", 1, 0);
  shard_.add_message(channel, {1, 0, 0, "x"});
  for (uint64_t word : {uint64_t{0}, ~uint64_t{0}, uint64_t{3} << 56 | uint64_t{0xffffff} << 32,
                        uint64_t{2} << 56 | uint64_t{1} << 32}) {
    uint64_t used = head_.used;
    uint64_t before;
    std::memcpy(&before, bytes_.get(), sizeof before);
    std::memcpy(bytes_.get(), &word, sizeof word);
    EXPECT_TRUE(walk_anew().empty()) << std::hex << word;
    EXPECT_FALSE(sound_);
    EXPECT_EQ(head_.used, 0u);
    std::memcpy(bytes_.get(), &before, sizeof before);
    head_.used = used;
  }
}

// What a process has in its lists is what the next one finds.
TEST_F(StreamShardTest, TheNextHomeFindsTheSameAfterAnyHistory) {
  std::mt19937_64 random{testing::UnitTest::GetInstance()->random_seed() + 1u};
  Blocks expected;
  std::vector<uint32_t> messages;
  uint32_t channel = shard_.add_channel("room", 1, 0);
  expected[channel] = {BlockKind::channel, 0};
  for (int step = 0; step < 20'000; ++step) {
    if (!messages.empty() && random() % 2 == 0) {
      size_t i = random() % messages.size();
      shard_.free(messages[i]);
      expected.erase(messages[i]);
      messages[i] = messages.back();
      messages.pop_back();
    } else {
      std::string data(random() % 3'000, char('a' + random() % 26));
      uint32_t block = shard_.add_message(channel, {uint64_t(step), 0, 0, data});
      if (block == kNoBlock) {
        shard_.gather();
        continue;
      }
      messages.push_back(block);
      expected[block] = {BlockKind::message, channel};
    }
    if (random() % 64 == 0) shard_.gather();
    if (step % 500 == 0) {
      ASSERT_EQ(walk_anew(), expected) << step;
    }
  }
  EXPECT_EQ(walk_anew(), expected);
}

}  // namespace
}  // namespace holdfast::shm
