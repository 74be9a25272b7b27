// bench/load/handover_board.h - the longest silence of each member of the channel, within windows of time. Lies in
// the arena.
//
// A silence is the time between two messages of one connection. It belongs to the window in which it ends; one that
// has not ended when its window is looked at counts for as long as it lasts (last_ns).
//
// Who writes
//   window, over     the driver
//   heard, longest   the client process that holds the member's connection
// Who reads: anyone; single relaxed words.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/stats.h"

namespace holdfast::bench {

class SilenceBoard {
 public:
  static size_t bytes(uint32_t members, uint32_t windows) {
    return sizeof(Head) + sizeof(shm::Cell) * members * (size_t{windows} + 1);
  }
  // At `memory`: bytes() zeros, aligned for words.
  SilenceBoard(void* memory, uint32_t members)
      : head_(static_cast<Head*>(memory)),
        cells_(reinterpret_cast<shm::Cell*>(head_ + 1)),
        members_(members) {}

  uint32_t members() const { return members_; }
  void open_window(uint32_t window) const { head_->window.store(window + 1); }
  void close_window() const { head_->window.store(0); }
  void finish() const { head_->over.store(1); }
  bool over() const { return head_->over.load(std::memory_order_relaxed) != 0; }

  // A message has come.
  void heard(uint32_t member, uint64_t now_ns) const {
    uint64_t before = cells_[member].get();
    cells_[member].set(now_ns);
    uint32_t window = head_->window.load(std::memory_order_relaxed);
    if (before == 0 || window == 0) return;
    shm::Cell& longest = longest_cell(window - 1, member);
    if (now_ns - before > longest.get()) longest.set(now_ns - before);
  }
  // 0: it has heard nothing so far.
  uint64_t last_ns(uint32_t member) const { return cells_[member].get(); }
  // 0: it heard nothing in that window.
  uint64_t longest_ns(uint32_t window, uint32_t member) const {
    return longest_cell(window, member).get();
  }

 private:
  struct alignas(64) Head {
    std::atomic<uint32_t> window;  // that is open, from 1; 0 = none
    std::atomic<uint32_t> over;    // nothing more is published
  };
  shm::Cell& longest_cell(uint32_t window, uint32_t member) const {
    return cells_[size_t{members_} * (size_t{window} + 1) + member];
  }

  Head* head_;
  shm::Cell* cells_;  // when each member heard something, then the windows' longest silences
  uint32_t members_;
};

}  // namespace holdfast::bench
