// shm/channel_filter.h - which workers might have a member of a channel.
//
// A counting filter, not a map: bucket[hash(name)] x worker -> how many channels of that bucket the
// worker has members of. A publisher reads one bucket and wakes only workers with a count above
// zero; a collision costs one wasted hop. The hash is keyed, for clients choose channels' names.
//
// Who writes: each worker its own column (the master, for a slot whose process is dead). Who reads:
// anyone.
//
// Invariants
//   I1  raise() before the first member can miss a publish; lower() after the last is gone.
//   I2  A count that reached 65,535 stays there until the column is cleared: too many wake-ups,
//       never too few.
//   I3  After clear_column(w) the filter holds nothing of w.
//   I4  A row whose page cannot be had (pages.h) is not raised; instead the worker's slot head notes from then on that it
//       hears all, and the header that such a slot exists. It stays so until the column is cleared: a handover's successor
//       hears all too.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/pages.h"

namespace holdfast::shm {

class ChannelFilter {
 public:
  // The other parts of the segment that it needs; without them every page is there.
  struct Ground {
    Pages* pages = nullptr;
    SlotHead* heads = nullptr;
    std::atomic<uint32_t>* overflowed = nullptr;
  };
  ChannelFilter(std::atomic<uint16_t>* counts, uint32_t buckets, uint32_t workers,
                const HashKey& key)
      : ChannelFilter(counts, buckets, workers, key, Ground()) {}
  ChannelFilter(std::atomic<uint16_t>* counts, uint32_t buckets, uint32_t workers,
                const HashKey& key, Ground ground)
      : counts_(counts), mask_(buckets - 1), workers_(workers), key_(key), ground_(ground) {}

  // False: for want of a page the worker hears all from now on. // I4
  bool raise(uint32_t worker, std::string_view name);
  void lower(uint32_t worker, std::string_view name);
  bool maybe_member(uint32_t worker, std::string_view name) const;
  // Calls f(worker) for every worker that might have a member.
  template <class F>
  void for_each(std::string_view name, F&& f) const {
    const std::atomic<uint16_t>* row = row_of(name);
    if (overflowed()) return for_each_hearer(row, f);
    if (!row_is_there(row)) return;
    for (uint32_t w = 0; w < workers_; ++w)
      if (row[w].load(std::memory_order_acquire) != 0) f(w);
  }
  // The same for either of two names.
  template <class F>
  void for_each_of(std::string_view a, std::string_view b, F&& f) const {
    const std::atomic<uint16_t>*row_a = row_of(a), *row_b = row_of(b);
    bool a_there = row_is_there(row_a), b_there = row_is_there(row_b), full = overflowed();
    for (uint32_t w = 0; w < workers_; ++w)
      if ((full && hears_all(w)) || (a_there && row_a[w].load(std::memory_order_acquire) != 0) ||
          (b_there && row_b[w].load(std::memory_order_acquire) != 0))
        f(w);
  }
  void clear_column(uint32_t worker);
  // As all processes of the instance see it, today's and those that take over from them.
  uint64_t hash(std::string_view name) const { return hash_name(name, key_); }

 private:
  bool overflowed() const {
    return ground_.overflowed != nullptr &&
           ground_.overflowed->load(std::memory_order_acquire) != 0;
  }
  bool hears_all(uint32_t worker) const {
    return ground_.heads[worker].hears_all.load(std::memory_order_acquire) != 0;
  }
  bool row_is_there(const std::atomic<uint16_t>* row) const {
    return is_there(ground_.pages, row, workers_ * sizeof *row);
  }
  uint64_t last_on_page_of(uint64_t bucket) const;
  template <class F>
  void for_each_hearer(const std::atomic<uint16_t>* row, F&& f) const {
    bool there = row_is_there(row);
    for (uint32_t w = 0; w < workers_; ++w)
      if (hears_all(w) || (there && row[w].load(std::memory_order_acquire) != 0)) f(w);
  }
  std::atomic<uint16_t>* row_of(std::string_view name) const {
    return counts_ + (hash(name) & mask_) * workers_;
  }
  std::atomic<uint16_t>* counts_;
  uint64_t mask_;
  uint32_t workers_;
  HashKey key_;
  Ground ground_;
};

}  // namespace holdfast::shm
