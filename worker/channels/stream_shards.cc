// The shards that a home has: their index built from the blocks, what is too old, and their way to another home.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "worker/channels/streams.h"

namespace holdfast {

// Null: it is another's, or there are none.
Streams::Shard* Streams::opened(uint32_t shard) {
  if (!any_ || space_.home_of(shard) != runtime_.slot) return nullptr;
  if (!shards_[shard]) {
    shards_[shard] = std::make_unique<Shard>(space_.open(shard));
    load(*shards_[shard]);
    fresh_.push_back(shard);
  }
  return shards_[shard].get();
}

Streams::Shard& Streams::shard_of(std::string_view channel) {
  Shard* shard = opened(space_.shard_of(channel));
  HF_CHECK(shard != nullptr);  // I3
  return *shard;
}

void Streams::load(Shard& shard) {
  struct Found {
    uint32_t channel, block;
    uint64_t offset;
  };
  std::vector<uint32_t> channels;
  std::vector<Found> messages;
  bool sound = shard.blocks.walk([&](shm::BlockKind kind, uint32_t block, uint32_t channel) {
    if (kind == shm::BlockKind::channel)
      channels.push_back(block);
    else
      messages.push_back({channel, block, shard.blocks.message(block).offset});
  });
  if (!sound) {
    runtime_.stats.streams_lost.add();
    log_error(
        "a shard of kept messages makes no sense and is emptied; its channels begin new epochs");
    return;
  }
  std::sort(messages.begin(), messages.end(), [](const Found& a, const Found& b) {
    return a.channel != b.channel ? a.channel < b.channel : a.offset < b.offset;
  });
  // A channel in no rule any more goes with all it has; so does a message without a channel (none, if I3 of the shard holds).
  std::unordered_map<uint32_t, Stream*> by_block;
  for (uint32_t block : channels)
    if (adopt(shard, block))
      by_block[block] = shard.streams.find(shard.blocks.name(block))->second.get();
  for (size_t i = 0; i < messages.size();) {
    size_t end = i;
    while (end < messages.size() && messages[end].channel == messages[i].channel) ++end;
    auto at = by_block.find(messages[i].channel);
    Stream* stream = at == by_block.end() ? nullptr : at->second;
    if (stream != nullptr &&
        messages[end - 1].offset == stream->top + 1) {  // the crash came before the store of top
      stream->top = messages[end - 1].offset;
      shard.blocks.channel(stream->block).top.store(stream->top, std::memory_order_release);
    }
    for (; i < end; ++i) {
      bool fits = stream != nullptr && messages[i].offset + (end - 1 - i) == stream->top;  // I1
      if (fits)
        keep(shard, *stream, messages[i].block, shard.blocks.block_bytes(messages[i].block));
      else
        shard.blocks.free(messages[i].block);
    }
  }
  for (uint32_t block : channels)
    if (!by_block.contains(block)) shard.blocks.free(block);
  for (const auto& [block, stream] : by_block) {
    shm::StoredChannel& stored = shard.blocks.channel(block);
    if (stored.version_at.load(std::memory_order_relaxed) > stream->top)
      stored.version.store(stored.version_before.load(std::memory_order_relaxed),
                           std::memory_order_relaxed);
  }
}

// False: its block is of no use.
bool Streams::adopt(Shard& shard, uint32_t block) {
  std::string_view name = shard.blocks.name(block);
  const conf::ChannelRule* rule = rule_of(name);
  if (rule == nullptr || shard.streams.contains(name)) return false;
  const shm::StoredChannel& stored = shard.blocks.channel(block);
  auto stream = std::make_unique<Stream>();
  stream->rule = rule;
  stream->block = block;
  stream->epoch = stored.epoch;
  stream->top = stored.top.load(std::memory_order_acquire);
  enter(shard, name, std::move(stream));
  return true;
}

Streams::Stream* Streams::enter(Shard& shard, std::string_view name,
                                std::unique_ptr<Stream> stream) {
  stream->channel_bytes = uint32_t(shard.blocks.block_bytes(stream->block));
  auto [at, added] = shard.streams.emplace(std::string(name), std::move(stream));
  at->second->name = at->first;
  shard.by_size[0].push_back(*at->second);
  shard.empty_bytes += at->second->channel_bytes;
  runtime_.stats.streams_channels.add();
  return at->second.get();
}

// What it has is another's now.
void Streams::close(uint32_t shard) {
  Shard& closed = *shards_[shard];
  for (List& list : closed.by_size) list.clear();
  for (const auto& [name, stream] : closed.streams) {
    runtime_.stats.streams_channels.sub();
    runtime_.stats.streams_messages.sub(stream->size());
    runtime_.stats.streams_bytes.sub(stream->bytes);
  }
  shards_[shard].reset();
}

void Streams::begin_serving() {
  for (shm::Cell* gauge : {&runtime_.stats.streams_channels, &runtime_.stats.streams_messages,
                           &runtime_.stats.streams_bytes})
    gauge->set(0);
}

// ---- every tick

// Those that have waited longest for it: each list turns round.
void Streams::sweep(Shard& shard) {
  size_t left = kSweep;
  for (size_t i = 1; i < kSizes && left > 0; ++i) {
    List& list = shard.by_size[i];
    for (size_t n = left / 2 + 1; n > 0 && left > 0 && !list.empty(); --n, --left) {
      Stream& stream = list.front();
      list.pop_front();
      list.push_back(stream);
      drop_old(shard, stream);
    }
  }
}

void Streams::give(uint32_t shard, uint16_t to) {
  if (shards_[shard]) close(shard);
  space_.give(shard, to);  // I3: the last thing that is done with it
  runtime_.stats.streams_moved.add();
}

void Streams::give_away(uint16_t to) {
  for (uint32_t shard = 0; shard < space_.shards(); ++shard)
    if (space_.home_of(shard) == runtime_.slot && to != runtime_.slot) give(shard, to);
}

void Streams::share_out(unsigned homes, const shm::Segment& segment) {
  uint32_t generation = segment.slot(runtime_.slot).generation.load(std::memory_order_relaxed);
  std::vector<uint16_t> serving;  // those that accept, of this generation or a later one
  for (uint16_t slot = 0; slot < segment.capacities().max_workers; ++slot) {
    const shm::SlotHead& head = segment.slot(slot);
    if (head.state.load(std::memory_order_acquire) == shm::SlotState::serving &&
        head.generation.load(std::memory_order_relaxed) >= generation)
      serving.push_back(slot);
  }
  if (serving.size() != homes) return;  // not all are there, or more than there will be
  for (uint32_t shard = 0; shard < space_.shards(); ++shard) {
    uint16_t wanted = serving[shard % homes];
    if (space_.home_of(shard) == runtime_.slot && wanted != runtime_.slot) give(shard, wanted);
  }
}

void Streams::tick(unsigned homes, const shm::Segment& segment) {
  if (!any_ || homes == 0) return;
  share_out(homes, segment);
  uint32_t openings = kOpenings;
  for (uint32_t n = 0; n < space_.shards() && openings > 0; ++n) {
    swept_ = (swept_ + 1) % space_.shards();
    bool known = shards_[swept_] != nullptr;
    Shard* shard = opened(swept_);
    if (shard == nullptr) continue;
    openings = known ? 0 : openings - 1;
    sweep(*shard);
  }
}

bool Streams::is_home_of_any() const {
  for (uint32_t shard = 0; shard < space_.shards(); ++shard)
    if (space_.home_of(shard) == runtime_.slot) return true;
  return false;
}

}  // namespace holdfast
