#include "shm/stream_shard.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace holdfast::shm {
namespace {

constexpr uint32_t kShardGranules = kShardBytes / kGranule;
constexpr unsigned kTimeBits = 48;
constexpr uint64_t kTimeMask = (uint64_t{1} << kTimeBits) - 1;
constexpr uint32_t kLeast = 2;  // granules: every block has room for what follows its word

}  // namespace

size_t StreamShard::list_of(uint32_t granules) {
  if (granules <= kExact) return granules;
  return std::min<size_t>(kExact + size_t(std::bit_width(granules)) - 6, kLists - 1);
}

void StreamShard::forget_free() {
  for (std::vector<uint32_t>& list : free_) list.clear();
}

// What another program wrote here, or a bug of ours, is not walked into.
bool StreamShard::sensible(uint32_t block, uint32_t used) const {
  BlockKind k = kind(block);
  uint32_t g = granules(block);
  if (k < BlockKind::free || k > BlockKind::message || g == 0 || g > used - block) return false;
  size_t bytes = size_t{g} * kGranule;
  if (k == BlockKind::channel)
    return bytes >= sizeof(StoredChannel) &&
           channel(block).name_bytes <= bytes - sizeof(StoredChannel);
  if (k == BlockKind::message)
    return bytes >= sizeof(StoredMessage) && channel_of(block) < used &&
           reinterpret_cast<const StoredMessage*>(at(block))->bytes <=
               bytes - sizeof(StoredMessage);
  return true;
}

bool StreamShard::clear() {
  forget_free();
  head_->used.store(0, std::memory_order_release);
  return false;
}

// ---- room

StreamShard::Place StreamShard::find(uint32_t granules) {
  page_refused_ = false;
  for (size_t list = list_of(granules); list < kLists; ++list)
    if (uint32_t block = take_free(list, granules); block != kNoBlock) return {block, false};
  auto used = uint32_t(head_->used.load(std::memory_order_relaxed));
  if (granules > kShardGranules - used) return {};
  page_refused_ = !ensured(pages_, at(used), size_t{granules} * kGranule, Pages::kAhead);  // I4
  if (page_refused_) return {};
  return {used, true};
}

// The newest of the list that is large enough; what is too much of it is a free block behind it.
uint32_t StreamShard::take_free(size_t list, uint32_t granules) {
  std::vector<uint32_t>& blocks = free_[list];
  size_t last = blocks.size() - std::min(blocks.size(), kTries);
  for (size_t i = blocks.size(); i-- > last;) {
    uint32_t block = blocks[i];
    uint32_t has = this->granules(block);
    if (has < granules) continue;
    blocks[i] = blocks.back();
    blocks.pop_back();
    if (has == granules) return block;
    // Still inside of the free one, which says how long it is until publish() stores its word.  // I1
    uint32_t rest = block + granules;
    word(rest).store(word_of(BlockKind::free, has - granules, 0), std::memory_order_release);
    note_free(rest);
    return block;
  }
  return kNoBlock;
}

// I2
void StreamShard::publish(const Place& place, BlockKind kind, uint32_t granules, uint32_t channel) {
  word(place.block).store(word_of(kind, granules, channel), std::memory_order_release);
  if (place.last) head_->used.store(place.block + granules, std::memory_order_release);
}

void StreamShard::free(uint32_t block) {
  word(block).store(word_of(BlockKind::free, granules(block), 0), std::memory_order_release);
  note_free(block);
}

void StreamShard::gather() {
  forget_free();
  auto used = uint32_t(head_->used.load(std::memory_order_relaxed));
  uint32_t at = 0;
  while (at < used) {
    if (kind(at) != BlockKind::free) {
      at += granules(at);
      continue;
    }
    uint32_t end = at;
    while (end < used && kind(end) == BlockKind::free) end += granules(end);
    if (end >= used) {  // the room at the end of the shard grows
      head_->used.store(at, std::memory_order_release);
      return;
    }
    if (end - at != granules(at))
      word(at).store(word_of(BlockKind::free, end - at, 0), std::memory_order_release);  // I1
    note_free(at);
    at = end;
  }
}

// ---- blocks

uint32_t StreamShard::add_channel(std::string_view name, uint64_t epoch, uint64_t now_ms) {
  auto granules = uint32_t(channel_bytes(name.size()) / kGranule);
  Place place = find(granules);
  if (place.block == kNoBlock) return kNoBlock;
  // Not the word: it still says how long the free block is.
  StoredChannel& stored = channel(place.block);
  stored.epoch = epoch;
  for (std::atomic<uint64_t>* number :
       {&stored.top, &stored.version, &stored.version_at, &stored.version_before})
    number->store(0, std::memory_order_relaxed);
  stored.used_ms.store(now_ms, std::memory_order_relaxed);
  stored.early.store(0, std::memory_order_relaxed);
  stored.name_bytes = uint32_t(name.size());
  std::memcpy(at(place.block) + sizeof stored, name.data(), name.size());
  publish(place, BlockKind::channel, granules, 0);
  return place.block;
}

uint32_t StreamShard::add_message(uint32_t channel, const Message& message) {
  if (message.data.size() > kShardBytes - sizeof(StoredMessage)) return kNoBlock;
  auto granules = std::max(uint32_t(message_bytes(message.data.size()) / kGranule), kLeast);
  Place place = find(granules);
  if (place.block == kNoBlock) return kNoBlock;
  auto& stored = *reinterpret_cast<StoredMessage*>(at(place.block));
  stored.offset = message.offset;
  stored.time_and_flags = uint64_t{message.flags} << kTimeBits | (message.time_ms & kTimeMask);
  stored.bytes = uint32_t(message.data.size());
  stored.mark = message.mark;
  if (!message.data.empty())
    std::memcpy(at(place.block) + sizeof stored, message.data.data(), message.data.size());
  publish(place, BlockKind::message, granules, channel);
  return place.block;
}

std::string_view StreamShard::name(uint32_t block) const {
  return {at(block) + sizeof(StoredChannel), channel(block).name_bytes};
}

StreamShard::Message StreamShard::message(uint32_t block) const {
  const auto& stored = *reinterpret_cast<const StoredMessage*>(at(block));
  return {stored.offset,
          stored.time_and_flags & kTimeMask,
          uint16_t(stored.time_and_flags >> kTimeBits),
          {at(block) + sizeof stored, stored.bytes},
          stored.mark};
}

uint32_t StreamSpace::shard_of(std::string_view channel) const {
  return uint32_t((hash_name(channel, key_) >> 24) % shards_);
}

}  // namespace holdfast::shm
