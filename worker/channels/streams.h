// worker/channels/streams.h - the kept messages of the channels whose home this worker is.
//
// Which channels have a stream say the rules ([[channel]] history_size). Each has a home, the slot that its shard of the segment names
// (shm/stream_shard.h): every publish goes there first, gets the next offset, is kept, and fans out from there. So there is one
// order for each channel, and what survives is in the segment: this class is an index over it, built from the blocks when a shard is
// looked at for the first time.
//
//   bounds of a channel   history_size messages, history_ttl, history_bytes of the shard
//   a full shard          the channels that take the most lose their oldest messages (streams.early), until there is room; without
//                         messages the channels that have been empty for longest are forgotten (streams.forgotten), and before that if
//                         empty channels take a fourth of the shard: names are cheap to invent
//
// Invariants
//   I1  The kept messages of a channel are those of the offsets first..top without a hole, or none.
//   I2  An offset is given once in an epoch, also by homes one after the other. A channel that was forgotten begins a new epoch.
//   I3  A shard is touched only while its head names this slot, and this process serves it.
//   I4  A message that is too old is never given out, whether it still takes room or not.
// After a crash: the next home builds the same index, but for a message that nobody has got a position of.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "shm/segment.h"
#include "worker/channels/stream_state.h"
#include "worker/net/runtime.h"

namespace holdfast {

class Streams {
 public:
  static constexpr size_t kMaxAnswer = 512 * 1024;  // bytes of messages in one answer

  Streams(Runtime& runtime, shm::StreamSpace space);
  ~Streams();

  // The slot is ours: what a predecessor has counted in gauges is counted anew, as shards are looked at.
  void begin_serving();

  bool any() const { return any_; }
  uint32_t shards() const { return space_.shards(); }
  uint32_t shard_index(std::string_view channel) const { return space_.shard_of(channel); }
  // Has this channel a stream? Null: no.
  const conf::ChannelRule* rule_of(std::string_view channel) const;
  uint16_t home_of(std::string_view channel) const {
    return space_.home_of(space_.shard_of(channel));
  }
  bool is_home(std::string_view channel) const { return home_of(channel) == runtime_.slot; }

  // All of these: for channels with a stream whose home this is.  // I3

  struct Appended {
    Position at;  // epoch 0: there is no memory for the channel
    bool superseded =
        false;  // its version is not newer than one before it: nothing was done, `at` is the last message's
  };
  struct Publish {
    std::string_view data;
    bool binary = false;
    uint64_t version = 0;  // 0: none
    uint32_t mark = 0;     // tells it from all others of late
    bool again =
        false;  // a process that died has begun with it: if its message is the last one, nothing is done
  };
  Appended append(std::string_view channel, const Publish& publish);
  // Messages by ascending offset, or with `reverse` descending, at most kMaxAnswer of them. The stream begins now if there is none and `begin`.
  StreamState read(std::string_view channel, const StreamRange& range, bool begin,
                   std::vector<KeptMessage>* messages);
  // Throws the kept messages away; the next offset stays.
  StreamState empty(std::string_view channel);

  // Shards that this process has looked at for the first time: what a predecessor had in hand may not have gone on to all.
  std::vector<uint32_t> take_fresh() { return std::exchange(fresh_, {}); }
  bool is_home_of_any() const;
  // Every tick: what is too old, and shards that should have another home: the slots that accept, if they are `homes`, share them.
  void tick(unsigned homes, const shm::Segment& segment);
  // All shards have another home now.
  void give_away(uint16_t to);
  // Calls f(channel) for those of a shard that have had a message in the last so many ms.
  template <class F>
  void for_each_recent(uint32_t shard, uint64_t ms, F&& f) {
    const Shard* open = opened(shard);
    if (open == nullptr) return;
    for (const auto& [name, stream] : open->streams)
      if (used_within(*open, *stream, ms)) f(name);
  }

 private:
  struct Stream : boost::intrusive::list_base_hook<> {
    std::string_view name;  // the map's key
    const conf::ChannelRule* rule = nullptr;
    uint32_t block = 0;
    uint64_t epoch = 0;
    uint64_t top = 0;
    uint64_t bytes = 0;          // of its messages
    std::vector<uint32_t> kept;  // blocks, oldest first, from `gone` on
    size_t gone = 0;
    uint32_t channel_bytes = 0;  // of its own block

    size_t size() const { return kept.size() - gone; }
    uint64_t first() const { return size() == 0 ? 0 : top + 1 - size(); }
  };
  using List = boost::intrusive::list<Stream, boost::intrusive::constant_time_size<false>>;
  static constexpr size_t kSizes = 24;
  struct Shard {
    explicit Shard(shm::StreamShard&& opened) : blocks(std::move(opened)) {}
    shm::StreamShard blocks;
    std::unordered_map<std::string, std::unique_ptr<Stream>, NameHash, std::equal_to<>> streams;
    uint64_t empty_bytes = 0;  // what the channels in by_size[0] take
    std::array<List, kSizes>
        by_size;  // by the bits of Stream::bytes; [0]: those without messages, longest first
  };
  static constexpr uint32_t kOpenings = 8;     // shards that one tick looks at for the first time
  static constexpr size_t kSweep = 64;         // streams that one tick looks at
  static constexpr size_t kBatch = 64 * 1024;  // freed at once if there is no room
  static constexpr unsigned kRounds = 4;
  static constexpr uint64_t kMostForEmpty =
      shm::kShardBytes / 4;  // beyond it they go before any message does

  static size_t size_class(uint64_t bytes);
  Shard* opened(uint32_t shard);
  Shard& shard_of(std::string_view channel);
  void load(Shard& shard);
  bool adopt(Shard& shard, uint32_t block);
  void close(uint32_t shard);
  void give(uint32_t shard, uint16_t to);
  void share_out(unsigned homes, const shm::Segment& segment);
  Stream* find(Shard& shard, std::string_view channel);
  Stream* begin(Shard& shard, std::string_view channel, const conf::ChannelRule& rule);
  void keep(Shard& shard, Stream& stream, uint32_t block, uint64_t bytes);
  void drop_oldest(Shard& shard, Stream& stream);
  void drop_all(Shard& shard, Stream& stream);
  void forget(Shard& shard, Stream& stream);
  void drop_old(Shard& shard, Stream& stream);
  void move_to_class(Shard& shard, Stream& stream, uint64_t bytes);
  bool make_room(Shard& shard, const Stream* spare);
  bool forget_one(Shard& shard, const Stream* spare, size_t* freed);
  static uint64_t oldest_that_fits(const Shard& shard, const Stream& stream, uint64_t from);
  Stream* enter(Shard& shard, std::string_view name, std::unique_ptr<Stream> stream);
  bool drop_some(Shard& shard, const Stream* spare, size_t* freed);
  template <class Add>
  uint32_t add(Shard& shard, const Stream* spare, Add&& add);
  uint32_t store(Shard& shard, Stream& stream, const Publish& publish);
  StreamState state_of(const Stream& stream) const;
  bool used_within(const Shard& shard, const Stream& stream, uint64_t ms) const;
  void sweep(Shard& shard);

  Runtime& runtime_;
  shm::StreamSpace space_;
  bool any_ = false;  // rules with a stream, and memory for them
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<uint32_t> fresh_;
  uint32_t swept_ = 0;
};

}  // namespace holdfast
