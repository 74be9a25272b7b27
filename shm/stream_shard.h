// shm/stream_shard.h - kept messages of channels: one shard of the part of the segment that outlives the workers.
//
// A channel belongs to the shard that the hash of its name gives (StreamSpace). A shard is a row of blocks, from its first byte to
// `used`: channels, messages, free ones. Its home, the process that serves the slot in ShardHead::slot, is the only one that reads or
// writes its blocks, so there is nothing here for readers to wait for: others ask the home. What a home knows besides (who has
// which messages, where room is free) it builds from the blocks (walk()), and so does the process after it.
//
//   block      word u64 | ...         word: kind 8 | granules 24 | channel's block 32 (its first granule)
//   channel    word | epoch | top | version | version_at | version_before | used_ms | early u32 | name bytes u32 | name
//   message    word | offset | time_ms 48, flags 16 | bytes u32 | mark u32 | data
//   free       word | anything
//
// Who writes
//   ShardHead::slot   the master before the first process of the instance, and for a slot that nobody serves any more; the home, as the
//                     last thing that it does with the shard (release)
//   all else          the home
// Invariants
//   I1  The blocks lie one after the other without a gap, whatever instruction the home dies at: a block is cut in two, or two become
//       one, by one store of one word, and what lies behind `used` does not count.
//   I2  A block counts from the store of its word on (or of `used`, if it is the last); before that all of it is written. So a message is
//       there whole or not at all.
//   I3  A message's channel is there: a channel's block is freed after all of its messages'.
//   I4  Nothing of the shard is touched before its page has been asked for (pages.h).
// After a crash: the next home takes the shard as it is. The message whose word was not stored yet has not been published: nobody
// has been given its position.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shm/layout.h"
#include "shm/pages.h"

namespace holdfast::shm {

inline constexpr size_t kShardBytes = size_t{4} << 20;
inline constexpr uint32_t kMaxShards = 16'384;  // 64 GiB
inline constexpr size_t kGranule = 16;
inline constexpr uint32_t kNoBlock = UINT32_MAX;

struct alignas(kCacheLine) ShardHead {
  std::atomic<uint32_t> slot;  // its home
  uint32_t reserved;
  std::atomic<uint64_t> used;  // granules
};
static_assert(sizeof(ShardHead) == kCacheLine);

enum class BlockKind : uint8_t { free = 1, channel = 2, message = 3 };

struct StoredChannel {
  std::atomic<uint64_t> word;
  uint64_t epoch;
  std::atomic<uint64_t> top;  // the last offset that was given, or one before it (I2)
  // The greatest version that was published, and with which offset. The message of that offset has not been published if it is
  // beyond top and not there: then the version is the one before.
  std::atomic<uint64_t> version, version_at, version_before;
  std::atomic<uint64_t> used_ms;  // monotonic
  std::atomic<uint32_t> early;    // messages that left before their time
  uint32_t name_bytes;
};
static_assert(sizeof(StoredChannel) == 64);

struct StoredMessage {
  std::atomic<uint64_t> word;
  uint64_t offset;
  uint64_t time_and_flags;
  uint32_t bytes;
  uint32_t mark;  // of the publish that it came with, so that this is not done twice
};
static_assert(sizeof(StoredMessage) == 32);

// A process's view of one shard, with the room that it knows to be free.
class StreamShard {
 public:
  struct Message {
    uint64_t offset = 0;
    uint64_t time_ms = 0;  // monotonic, below 2^48
    uint16_t flags = 0;
    std::string_view data;
    uint32_t mark = 0;
  };

  // The home's. Walk it first.
  StreamShard(ShardHead& head, char* bytes, Pages* pages)
      : head_(&head), bytes_(bytes), pages_(pages) {}

  // Calls f(kind, block, channel's block) for every channel and message, in the order of their places, and notes what is free.
  // False: the blocks make no sense (another program wrote here): the shard is empty now.
  template <class F>
  bool walk(F&& f) {
    forget_free();
    uint64_t end = head_->used.load(std::memory_order_acquire);
    if (end > kShardBytes / kGranule) return clear();
    auto used = uint32_t(end);
    for (uint32_t at = 0; at < used; at += granules(at)) {
      if (!sensible(at, used)) return clear();
      if (kind(at) == BlockKind::free)
        note_free(at);
      else
        f(kind(at), at, channel_of(at));
    }
    return true;
  }

  // kNoBlock: there is no room, even after gather(), or no memory for the page.
  uint32_t add_channel(std::string_view name, uint64_t epoch, uint64_t now_ms);
  uint32_t add_message(uint32_t channel, const Message& message);
  void free(uint32_t block);
  // Free blocks that lie side by side become one. Costs a walk.
  void gather();

  StoredChannel& channel(uint32_t block) const {
    return *reinterpret_cast<StoredChannel*>(at(block));
  }
  std::string_view name(uint32_t block) const;
  Message message(uint32_t block) const;
  // What the block takes.
  size_t block_bytes(uint32_t block) const { return granules(block) * kGranule; }
  static size_t message_bytes(size_t data) { return rounded(sizeof(StoredMessage) + data); }
  static size_t channel_bytes(size_t name) { return rounded(sizeof(StoredChannel) + name); }
  // No page could be had for the last add_...(): more free blocks do not help at the end of the shard.
  bool page_refused() const { return page_refused_; }

 private:
  static constexpr size_t kExact =
      64;  // free lists for 1..64 granules, then one for each power of two
  static constexpr size_t kLists = kExact + 1 + 24;
  static constexpr size_t kTries = 16;  // blocks of one list that are looked at

  static size_t rounded(size_t bytes) { return (bytes + kGranule - 1) / kGranule * kGranule; }
  static size_t list_of(uint32_t granules);
  static uint64_t word_of(BlockKind kind, uint32_t granules, uint32_t channel) {
    return uint64_t(kind) << 56 | uint64_t(granules) << 32 | channel;
  }
  char* at(uint32_t block) const { return bytes_ + size_t{block} * kGranule; }
  std::atomic<uint64_t>& word(uint32_t block) const {
    return *reinterpret_cast<std::atomic<uint64_t>*>(at(block));
  }
  uint64_t load(uint32_t block) const { return word(block).load(std::memory_order_relaxed); }
  uint32_t granules(uint32_t block) const { return uint32_t(load(block) >> 32) & 0xffffff; }
  BlockKind kind(uint32_t block) const { return BlockKind(load(block) >> 56); }
  uint32_t channel_of(uint32_t block) const { return uint32_t(load(block)); }
  bool sensible(uint32_t block, uint32_t used) const;
  bool clear();
  void forget_free();
  void note_free(uint32_t block) { free_[list_of(granules(block))].push_back(block); }
  // A place for so many granules; its word is not stored. `last`: behind `used`.
  struct Place {
    uint32_t block = kNoBlock;
    bool last = false;
  };
  Place find(uint32_t granules);
  uint32_t take_free(size_t list, uint32_t granules);
  void publish(const Place& place, BlockKind kind, uint32_t granules, uint32_t channel);

  ShardHead* head_;
  char* bytes_;
  Pages* pages_;
  std::array<std::vector<uint32_t>, kLists> free_;
  bool page_refused_ = false;
};

// All shards of an instance; a value that points into the segment.
class StreamSpace {
 public:
  StreamSpace(ShardHead* heads, char* bytes, uint32_t shards, HashKey key, Pages* pages)
      : heads_(heads), bytes_(bytes), shards_(shards), key_(key), pages_(pages) {}

  uint32_t shards() const { return shards_; }  // 0: nothing is kept
  uint32_t shard_of(std::string_view channel) const;
  uint16_t home_of(uint32_t shard) const {
    return uint16_t(heads_[shard].slot.load(std::memory_order_acquire));
  }
  // By the home: what it has done with the shard is seen by `slot`.
  void give(uint32_t shard, uint16_t slot) const {
    heads_[shard].slot.store(slot, std::memory_order_release);
  }
  StreamShard open(uint32_t shard) const {
    return {heads_[shard], bytes_ + size_t{shard} * kShardBytes, pages_};
  }

 private:
  ShardHead* heads_;
  char* bytes_;
  uint32_t shards_;
  HashKey key_;
  Pages* pages_;
};

}  // namespace holdfast::shm
