// bench/load/client_group.h - the client processes as the driver sees them.
#pragma once

#include <sys/types.h>

#include <vector>

#include "bench/load/arena.h"
#include "bench/load/driver.h"

namespace holdfast::bench {

// Owns the processes: those still there when it goes are killed and reaped.
class ClientGroup {
 public:
  static Result<ClientGroup> start(const Options& options, const Arena& arena);
  ClientGroup(ClientGroup&& other) noexcept = default;
  ClientGroup& operator=(ClientGroup&&) = delete;
  ~ClientGroup();

  void enter(Phase phase) { arena_->phase().store(uint32_t(phase), std::memory_order_release); }
  // All processes have finished `phase`. Errc::gone: one of them died; Errc::limit: not within the
  // time.
  Result<void> wait_reached(Phase phase, uint64_t limit_ns);
  // Until `expected` messages have come in all, or none came for a while.
  void wait_received(uint64_t expected);
  Totals totals() const;
  // Valid once Phase::close is reached.
  void merge_histograms(Measured& measured) const;

 private:
  ClientGroup(const Arena& arena, uint32_t processes) : arena_(&arena), process_count_(processes) {}
  Result<void> look_for_dead();
  bool all_reached(Phase phase) const;

  const Arena* arena_;
  uint32_t process_count_;
  std::vector<pid_t> pids_;  // not reaped yet
};

}  // namespace holdfast::bench
