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

// ---- one stream

size_t Streams::size_class(uint64_t bytes) {
  return std::min<size_t>(size_t(std::bit_width(bytes)), kSizes - 1);
}

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

}  // namespace holdfast
