#include "shm/layout.h"

#include <bit>

#include "shm/addresses.h"
#include "shm/channel_filter.h"
#include "shm/mailbox.h"
#include "shm/receipts.h"
#include "shm/session_directory.h"
#include "shm/stats.h"
#include "shm/stream_shard.h"

namespace holdfast::shm {
namespace {

// Keeps every product below in 64 bits, and a slot within its field of a receipt's claim.
constexpr uint32_t kMaxWorkers = 4096;
static_assert(kMaxWorkers <= ReceiptClaim::kSlots);

size_t page_up(size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

static_assert(sizeof(Header) <= kPage);
static_assert(sizeof(StatsBlock) % kPage == 0);

bool Layout::possible(const Capacities& c) {
  if (c.max_workers < 1 || c.max_workers > kMaxWorkers || c.max_sessions < 1) return false;
  if (uint64_t(c.max_workers) * c.max_sessions > UINT32_MAX) return false;
  if (!std::has_single_bit(c.filter_buckets)) return false;
  if (!std::has_single_bit(c.mailbox_bytes) || c.mailbox_bytes < kMinMailboxBytes) return false;
  if (c.receipts != 0 && (!std::has_single_bit(c.receipts) || c.receipts < kMinReceipts))
    return false;
  if (c.stream_shards > kMaxShards) return false;
  return of(c).total <= kMaxTotal;
}

// The largest part is the rings: 4096 x 4096 of 2 GiB and a page are less than 2^56 bytes.
Layout Layout::of(const Capacities& c) {
  Layout layout{};
  size_t workers = c.max_workers;
  layout.capacities = c;
  layout.ring_stride = page_up(sizeof(RingHead) + c.mailbox_bytes);
  layout.slot_heads = page_up(sizeof(Header));
  layout.stats = layout.slot_heads + page_up(workers * sizeof(SlotHead));
  layout.filter = layout.stats + workers * sizeof(StatsBlock);
  layout.receipts =
      layout.filter + page_up(workers * c.filter_buckets * sizeof(std::atomic<uint16_t>));
  layout.mailboxes = layout.receipts + page_up(c.receipts * sizeof(ReceiptEntry));
  layout.addresses = layout.mailboxes + workers * workers * layout.ring_stride;
  layout.directory =
      layout.addresses +
      page_up(workers * AddressTable::entries_for(c.max_sessions) * sizeof(AddressEntry));
  layout.shard_heads =
      layout.directory + page_up(workers * c.max_sessions * sizeof(DirectoryEntry));
  layout.shards = layout.shard_heads + page_up(c.stream_shards * sizeof(ShardHead));
  layout.total = layout.shards + c.stream_shards * kShardBytes;
  return layout;
}

}  // namespace holdfast::shm
