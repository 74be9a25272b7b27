#include "shm/layout.h"

#include "shm/channel_filter.h"
#include "shm/mailbox.h"
#include "shm/session_directory.h"
#include "shm/stats.h"

namespace holdfast::shm {
namespace {
size_t page_up(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }
}  // namespace

Layout Layout::of(const Capacities& c) {
  Layout layout{};
  layout.capacities = c;
  size_t workers = c.max_workers;
  layout.slot_heads = page_up(sizeof(Header));
  layout.stats = layout.slot_heads + page_up(workers * sizeof(SlotHead));
  layout.filter = layout.stats + page_up(workers * sizeof(StatsBlock));
  layout.mailboxes = layout.filter + page_up(workers * c.filter_buckets * sizeof(std::atomic<uint16_t>));
  layout.directory = layout.mailboxes + workers * workers * page_up(sizeof(RingHead) + c.mailbox_bytes);
  layout.total = layout.directory + page_up(workers * c.max_sessions * sizeof(DirectoryEntry));
  return layout;
}

}  // namespace holdfast::shm
