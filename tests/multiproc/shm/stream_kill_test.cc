// A process adds and frees kept messages as fast as it can and is killed at random instants; the next home of the shard walks its
// blocks. A ledger in shared memory says which messages must be there, which must not, and which one may be either.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include "shm/segment.h"
#include "tests/multiproc/shm/child.h"

namespace holdfast::shm {
namespace {

using test::Child;
using test::require;
using test::Shared;

constexpr size_t kMessages = 600;
constexpr int kRounds = 200;

enum class State : uint32_t { none, adding, there, freeing };
struct Known {
  std::atomic<State> state;
  std::atomic<uint32_t> block;
  std::atomic<uint64_t> number;  // the message's offset
};
struct Ledger {
  std::atomic<uint64_t> numbers;
  Known messages[kMessages];
};

// Length and bytes follow from the number; the largest are a tenth of the shard.
std::string data_of(uint64_t number) {
  uint64_t mix = number * 0x9e3779b97f4a7c15u;
  size_t most = mix % 16 == 0 ? kShardBytes / 10 : 3'000;
  return std::string((mix >> 20) % most, char(mix >> 8));
}

class StreamKill : public testing::Test {
 protected:
  StreamKill() {
    auto made = Segment::create({test::own_instance("streams"), "/run", 1}, {.max_workers = 1,
                                                                             .max_sessions = 1,
                                                                             .filter_buckets = 1,
                                                                             .mailbox_bytes = 1024,
                                                                             .stream_shards = 1});
    if (!made) throw std::runtime_error(made.error().text());
    segment = std::make_unique<Segment>(*std::move(made));
  }

  // The home's process, until it is killed. It builds its knowledge of free room first, as every new home does.
  [[noreturn]] void work(uint64_t seed) {
    std::mt19937_64 random{seed};
    StreamShard shard = segment->streams().open(0);
    uint32_t channel = kNoBlock;
    require(shard.walk([&](BlockKind kind, uint32_t block, uint32_t) {
      if (kind == BlockKind::channel) channel = block;
    }),
            "the shard makes sense");
    if (channel == kNoBlock) channel = shard.add_channel("room", 1, 0);
    for (;;) step(shard, channel, random);
  }

  void step(StreamShard& shard, uint32_t channel, std::mt19937_64& random) {
    Known& known = ledger->messages[random() % kMessages];
    if (known.state == State::there) {
      known.state = State::freeing;
      shard.free(known.block);
      known.state = State::none;
    } else if (known.state == State::none) {
      known.number = ++ledger->numbers;
      known.state = State::adding;
      std::string data = data_of(known.number);
      uint32_t block = shard.add_message(channel, {known.number, 0, 0, data});
      if (block == kNoBlock) shard.gather();
      known.block = block;
      known.state = block == kNoBlock ? State::none : State::there;
    }
    if (random() % 50 == 0) shard.gather();
  }

  // What the next home finds. What was being done is settled then: it counts as it was found.
  void check() {
    StreamShard shard = segment->streams().open(0);
    std::map<uint64_t, uint32_t> found;  // block by number
    uint32_t channels = 0;
    bool sound = shard.walk([&](BlockKind kind, uint32_t block, uint32_t channel) {
      if (kind == BlockKind::channel) {
        ++channels;
        return;
      }
      StreamShard::Message message = shard.message(block);
      EXPECT_EQ(message.data, data_of(message.offset));
      EXPECT_EQ(shard.name(channel), "room");
      EXPECT_TRUE(found.emplace(message.offset, block).second) << "twice";
    });
    ASSERT_TRUE(sound);
    ASSERT_LE(channels, 1u);
    for (Known& known : ledger->messages) {
      auto at = found.find(known.number);
      bool there = at != found.end();
      if (known.state == State::there) {
        ASSERT_TRUE(there) << "lost";
        ASSERT_EQ(at->second, known.block);
      }
      if (known.state == State::none) {
        ASSERT_FALSE(there) << "freed, and still there";
      }
      known.state = there ? State::there : State::none;
      if (!there) continue;
      known.block = at->second;
      found.erase(at);
    }
    EXPECT_TRUE(found.empty()) << "nobody has added it";
  }

  std::unique_ptr<Segment> segment;
  Shared<Ledger> ledger;
  std::mt19937_64 random_{test::test_seed()};
};

TEST_F(StreamKill, TheNextHomeFindsAllThatCounts) {
  for (int round = 0; round < kRounds; ++round) {
    Child home([this, seed = random_()]() -> int { work(seed); });
    test::until_random_instant(random_, 3'000, [] { sched_yield(); });
    ASSERT_TRUE(home.kill()) << "it saw something wrong";
    ASSERT_NO_FATAL_FAILURE(check()) << "round " << round;
  }
  EXPECT_GT(ledger->numbers, uint64_t{kRounds});
}

}  // namespace
}  // namespace holdfast::shm
