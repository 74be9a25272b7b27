#include "shm/channel_filter.h"

namespace holdfast::shm {
namespace {
constexpr uint16_t kStuck = 0xffff;  // I2
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

// One writer a column: a load and a store are enough.
void ChannelFilter::raise(uint32_t worker, std::string_view name) {
  std::atomic<uint16_t>& count = row_of(name)[worker];
  uint16_t now = count.load(kRelaxed);
  if (now == kStuck) return;
  // seq_cst: whoever publishes after this member's join was acknowledged must see it.
  count.store(uint16_t(now + 1), std::memory_order_seq_cst);
}

void ChannelFilter::lower(uint32_t worker, std::string_view name) {
  std::atomic<uint16_t>& count = row_of(name)[worker];
  uint16_t now = count.load(kRelaxed);
  if (now == kStuck || now == 0) return;
  count.store(uint16_t(now - 1), std::memory_order_release);
}

bool ChannelFilter::maybe_member(uint32_t worker, std::string_view name) const {
  return row_of(name)[worker].load(std::memory_order_acquire) != 0;
}

void ChannelFilter::clear_column(uint32_t worker) {
  // Only counts that are not 0 are written, so that the other workers' cache lines mostly stay
  // where they are.
  for (uint64_t bucket = 0; bucket <= mask_; ++bucket) {
    std::atomic<uint16_t>& count = counts_[bucket * workers_ + worker];
    if (count.load(kRelaxed) != 0) count.store(0, std::memory_order_release);
  }
}

}  // namespace holdfast::shm
