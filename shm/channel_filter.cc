#include "shm/channel_filter.h"

#include <algorithm>

namespace holdfast::shm {
namespace {
constexpr uint16_t kStuck = 0xffff;  // I2
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

// One writer a column: a load and a store are enough.
bool ChannelFilter::raise(uint32_t worker, std::string_view name) {
  std::atomic<uint16_t>* row = row_of(name);
  if (!ensured(ground_.pages, row, workers_ * sizeof *row)) {
    ground_.heads[worker].hears_all.store(1, std::memory_order_seq_cst);
    ground_.overflowed->store(1, std::memory_order_seq_cst);  // I1, I4
    return false;
  }
  uint16_t now = row[worker].load(kRelaxed);
  if (now == kStuck) return true;
  // seq_cst: whoever publishes after this member's join was acknowledged must see it.
  row[worker].store(uint16_t(now + 1), std::memory_order_seq_cst);
  return true;
}

void ChannelFilter::lower(uint32_t worker, std::string_view name) {
  std::atomic<uint16_t>* row = row_of(name);
  if (!row_is_there(row)) return;
  uint16_t now = row[worker].load(kRelaxed);
  if (now == kStuck || now == 0) return;
  row[worker].store(uint16_t(now - 1), std::memory_order_release);
}

bool ChannelFilter::maybe_member(uint32_t worker, std::string_view name) const {
  if (overflowed() && hears_all(worker)) return true;
  const std::atomic<uint16_t>* row = row_of(name);
  return row_is_there(row) && row[worker].load(std::memory_order_acquire) != 0;
}

void ChannelFilter::clear_column(uint32_t worker) {
  // Only counts that are not 0 are written, so that the other workers' cache lines mostly stay
  // where they are; rows that nobody has used are left out.
  for (uint64_t bucket = 0; bucket <= mask_; ++bucket) {
    std::atomic<uint16_t>* row = counts_ + bucket * workers_;
    if (!row_is_there(row)) {
      bucket = last_on_page_of(bucket);
      continue;
    }
    if (row[worker].load(kRelaxed) != 0) row[worker].store(0, std::memory_order_release);
  }
  if (ground_.heads != nullptr) ground_.heads[worker].hears_all.store(0, std::memory_order_release);
}

// A row that lies on two pages is not there if the second is not, and belongs to those of the first.
uint64_t ChannelFilter::last_on_page_of(uint64_t bucket) const {
  uint64_t row_bytes = workers_ * sizeof *counts_;
  uint64_t page_end = (bucket * row_bytes / kPage + 1) * kPage;
  return std::max(bucket, page_end / row_bytes - 1);
}

}  // namespace holdfast::shm
