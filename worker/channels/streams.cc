#include "worker/channels/streams.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/random.h"
#include "worker/channels/hub.h"

namespace holdfast {
namespace {

constexpr uint16_t kBinaryFlag = 1;
constexpr size_t kCompactAt = 64;  // gone entries of Stream::kept

// Never 0.
uint64_t new_epoch() {
  uint64_t epoch = 0;
  while (epoch == 0) {
    fill_random(&epoch, sizeof epoch);
    epoch &= (uint64_t{1} << kEpochBits) - 1;
  }
  return epoch;
}

bool has_streams(const conf::Config& config) {
  return std::any_of(config.channels.begin(), config.channels.end(),
                     [](const conf::ChannelRule& rule) { return rule.history_size > 0; });
}

}  // namespace

Streams::Streams(Runtime& runtime, shm::StreamSpace space) : runtime_(runtime), space_(space) {
  if (!has_streams(runtime.config)) return;
  any_ = space_.shards() > 0;
  shards_.resize(space_.shards());
  if (!any_)
    log_warn(
        "no messages are kept: the segment has no room for them; set limits.history_memory, and "
        "restart after an "
        "upgrade from a version without it");
}

Streams::~Streams() {
  for (std::unique_ptr<Shard>& shard : shards_)
    if (shard)
      for (List& list : shard->by_size) list.clear();
}

const conf::ChannelRule* Streams::rule_of(std::string_view channel) const {
  if (!any_ || kind_of(channel) != NameKind::channel) return nullptr;
  for (const conf::ChannelRule& rule : runtime_.config.channels)
    if (glob_match(rule.pattern, channel)) return rule.history_size > 0 ? &rule : nullptr;
  return nullptr;
}

// ---- shards

size_t Streams::size_class(uint64_t bytes) {
  return std::min<size_t>(size_t(std::bit_width(bytes)), kSizes - 1);
}

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

// ---- one stream

Streams::Stream* Streams::find(Shard& shard, std::string_view channel) {
  auto at = shard.streams.find(channel);
  return at == shard.streams.end() ? nullptr : at->second.get();
}

Streams::Stream* Streams::begin(Shard& shard, std::string_view channel,
                                const conf::ChannelRule& rule) {
  uint64_t epoch = new_epoch();
  uint32_t block =
      add(shard, nullptr, [&] { return shard.blocks.add_channel(channel, epoch, monotonic_ms()); });
  if (block == shm::kNoBlock) return nullptr;
  auto stream = std::make_unique<Stream>();
  stream->rule = &rule;
  stream->block = block;
  stream->epoch = epoch;
  return enter(shard, channel, std::move(stream));
}

void Streams::move_to_class(Shard& shard, Stream& stream, uint64_t bytes) {
  size_t from = size_class(stream.bytes), to = size_class(bytes);
  if (bytes > stream.bytes)
    runtime_.stats.streams_bytes.add(bytes - stream.bytes);
  else
    runtime_.stats.streams_bytes.sub(stream.bytes - bytes);
  stream.bytes = bytes;
  if (from == to) return;
  if (from == 0) shard.empty_bytes -= stream.channel_bytes;
  if (to == 0) shard.empty_bytes += stream.channel_bytes;
  shard.by_size[from].erase(List::s_iterator_to(stream));
  shard.by_size[to].push_back(stream);
}

void Streams::keep(Shard& shard, Stream& stream, uint32_t block, uint64_t bytes) {
  stream.kept.push_back(block);
  runtime_.stats.streams_messages.add();
  move_to_class(shard, stream, stream.bytes + bytes);
}

void Streams::drop_oldest(Shard& shard, Stream& stream) {
  uint32_t block = stream.kept[stream.gone++];
  uint64_t bytes = shard.blocks.block_bytes(block);
  shard.blocks.free(block);
  if (stream.gone == stream.kept.size() || stream.gone >= kCompactAt + stream.kept.size() / 2) {
    stream.kept.erase(stream.kept.begin(), stream.kept.begin() + ptrdiff_t(stream.gone));
    stream.gone = 0;
  }
  runtime_.stats.streams_messages.sub();
  move_to_class(shard, stream, stream.bytes - bytes);
}

void Streams::drop_all(Shard& shard, Stream& stream) {
  while (stream.size() > 0) drop_oldest(shard, stream);
}

void Streams::forget(Shard& shard, Stream& stream) {
  drop_all(shard, stream);
  shard.blocks.free(stream.block);  // I3 of the shard
  shard.by_size[0].erase(List::s_iterator_to(stream));
  shard.empty_bytes -= stream.channel_bytes;
  runtime_.stats.streams_channels.sub();
  shard.streams.erase(shard.streams.find(stream.name));
}

// I4
void Streams::drop_old(Shard& shard, Stream& stream) {
  uint64_t ttl = stream.rule->history_ttl_ms, now = monotonic_ms();
  while (ttl != 0 && stream.size() > 0 &&
         shard.blocks.message(stream.kept[stream.gone]).time_ms + ttl < now)
    drop_oldest(shard, stream);
}

// ---- room

// The channel that has been empty for longest, but for `spare`. False: there is none.
bool Streams::forget_one(Shard& shard, const Stream* spare, size_t* freed) {
  for (Stream& stream : shard.by_size[0]) {
    if (&stream == spare) continue;
    *freed += stream.channel_bytes;
    runtime_.stats.streams_forgotten.add();
    forget(shard, stream);
    return true;
  }
  return false;
}

// One step towards it. False: there is nothing left to throw away.
bool Streams::drop_some(Shard& shard, const Stream* spare, size_t* freed) {
  if (shard.empty_bytes > kMostForEmpty && forget_one(shard, spare, freed)) return true;
  for (size_t i = kSizes - 1; i > 0; --i) {
    List& list = shard.by_size[i];
    if (list.empty()) continue;
    Stream& stream = list.front();
    shm::StoredChannel& stored = shard.blocks.channel(stream.block);
    stored.early.store(stored.early.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    runtime_.stats.streams_early.add();
    *freed += shard.blocks.block_bytes(stream.kept[stream.gone]);
    list.pop_front();  // those of a size take turns
    list.push_back(stream);
    drop_oldest(shard, stream);
    return true;
  }
  return forget_one(shard, spare, freed);
}

bool Streams::make_room(Shard& shard, const Stream* spare) {
  size_t freed = 0;
  while (freed < kBatch)
    if (!drop_some(shard, spare, &freed)) break;
  shard.blocks.gather();
  return freed > 0;
}

// kNoBlock: there is none to be had.
template <class Add>
uint32_t Streams::add(Shard& shard, const Stream* spare, Add&& add) {
  uint32_t block = add();
  if (block != shm::kNoBlock) return block;
  shard.blocks.gather();
  block = add();
  for (unsigned round = 0; block == shm::kNoBlock && round < kRounds; ++round) {
    if (!make_room(shard, spare)) break;
    block = add();
  }
  if (block == shm::kNoBlock) runtime_.stats.streams_no_room.add();
  return block;
}

// ---- what a home does

uint32_t Streams::store(Shard& shard, Stream& stream, const Publish& publish) {
  size_t bytes = shm::StreamShard::message_bytes(publish.data.size());
  if (bytes > stream.rule->history_bytes) {
    runtime_.stats.streams_too_large.add();
    return shm::kNoBlock;
  }
  while (stream.size() >= stream.rule->history_size ||
         (stream.size() > 0 && stream.bytes + bytes > stream.rule->history_bytes))
    drop_oldest(shard, stream);
  shm::StreamShard::Message message{.offset = stream.top + 1,
                                    .time_ms = monotonic_ms(),
                                    .flags = publish.binary ? kBinaryFlag : uint16_t{0},
                                    .data = publish.data,
                                    .mark = publish.mark};
  return add(shard, &stream, [&] { return shard.blocks.add_message(stream.block, message); });
}

Streams::Appended Streams::append(std::string_view channel, const Publish& publish) {
  Shard& shard = shard_of(channel);
  Stream* stream = find(shard, channel);
  if (stream == nullptr) stream = begin(shard, channel, *rule_of(channel));
  if (stream == nullptr) return {};
  if (publish.again && stream->size() > 0 &&
      shard.blocks.message(stream->kept.back()).mark == publish.mark)
    return {{stream->epoch, stream->top}, false};
  shm::StoredChannel& stored = shard.blocks.channel(stream->block);
  uint64_t version = publish.version;
  uint64_t known = stored.version.load(std::memory_order_relaxed);
  if (version != 0 && version <= known) {
    runtime_.stats.streams_superseded.add();
    return {{stream->epoch, stream->top}, true};
  }
  drop_old(shard, *stream);
  if (version != 0) {  // counts only with the message: see StoredChannel
    stored.version_before.store(known, std::memory_order_relaxed);
    stored.version_at.store(stream->top + 1, std::memory_order_release);
    stored.version.store(version, std::memory_order_release);
  }
  uint32_t block = store(shard, *stream, publish);
  if (block == shm::kNoBlock) drop_all(shard, *stream);  // I1
  ++stream->top;
  if (block != shm::kNoBlock) keep(shard, *stream, block, shard.blocks.block_bytes(block));
  stored.used_ms.store(monotonic_ms(), std::memory_order_relaxed);
  stored.top.store(stream->top, std::memory_order_release);
  runtime_.stats.streams_appended.add();
  return {{stream->epoch, stream->top}, false};
}

StreamState Streams::state_of(const Stream& stream) const {
  return {.top = {stream.epoch, stream.top},
          .first = stream.first(),
          .messages = stream.size(),
          .bytes = stream.bytes};
}

// Of the messages after `from`: the first of those that make an answer together.
uint64_t Streams::oldest_that_fits(const Shard& shard, const Stream& stream, uint64_t from) {
  size_t bytes = 0;
  uint64_t first = stream.top + 1;
  while (first > from) {
    bytes += shard.blocks.message(stream.kept[stream.gone + size_t(first - 1 - stream.first())])
                 .data.size() +
             sizeof(KeptMessage);
    if (bytes > kMaxAnswer) break;
    --first;
  }
  return first;
}

StreamState Streams::read(std::string_view channel, const StreamRange& range, bool begins,
                          std::vector<KeptMessage>* messages) {
  Shard& shard = shard_of(channel);
  Stream* stream = find(shard, channel);
  if (stream == nullptr && begins) stream = begin(shard, channel, *rule_of(channel));
  if (stream == nullptr) return {};
  drop_old(shard, *stream);
  StreamState state = state_of(*stream);
  state.early = shard.blocks.channel(stream->block).early.load(std::memory_order_relaxed);
  if (range.limit == 0 || state.messages == 0) return state;
  // Offsets first..last, and those of them that are wanted.
  uint64_t from = state.first, to = state.top.offset;
  if (range.since.epoch == state.top.epoch) {
    if (range.reverse)
      to = std::min(to, std::max<uint64_t>(range.since.offset, 1) - 1);
    else
      from = std::max(from, range.since.offset == UINT64_MAX ? UINT64_MAX : range.since.offset + 1);
  }
  if (range.newest) from = oldest_that_fits(shard, *stream, from);
  uint64_t now = monotonic_ms();
  size_t bytes = 0;
  for (uint64_t n = 0; from + n <= to && messages->size() < range.limit; ++n) {
    uint64_t offset = range.reverse ? to - n : from + n;
    auto m = shard.blocks.message(stream->kept[stream->gone + size_t(offset - state.first)]);
    bytes += m.data.size() + sizeof(KeptMessage);
    if (bytes > kMaxAnswer && !messages->empty()) break;
    messages->push_back({m.offset, now - std::min(now, m.time_ms), (m.flags & kBinaryFlag) != 0,
                         std::string(m.data)});
  }
  return state;
}

StreamState Streams::empty(std::string_view channel) {
  Shard& shard = shard_of(channel);
  Stream* stream = find(shard, channel);
  if (stream == nullptr) return {};
  drop_all(shard, *stream);
  return state_of(*stream);
}

bool Streams::used_within(const Shard& shard, const Stream& stream, uint64_t ms) const {
  uint64_t used = shard.blocks.channel(stream.block).used_ms.load(std::memory_order_relaxed);
  return stream.top > 0 && used + ms >= monotonic_ms();
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
