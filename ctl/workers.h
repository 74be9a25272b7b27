// ctl/workers.h - `holdfastctl workers`: the state of every slot's process, out of the segment.
//
// No worker is asked, so a hung one is shown as such: not answering.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/options.h"
#include "ctl/screen.h"
#include "shm/segment.h"

namespace holdfast::ctl {

// A heartbeat older than this means that the worker's loop stands still.
inline constexpr uint64_t kHeartbeatLimitMs = 3'000;

struct WorkerView {
  uint32_t slot = 0;
  uint32_t pid = 0;
  shm::SlotState state = shm::SlotState::free;
  uint32_t generation = 0;
  uint64_t sessions = 0;
  uint64_t heartbeat_age_ms = 0;
  uint32_t restarts = 0;
  uint64_t uptime_ms = 0;

  bool has_process() const;
  // A dead process does not answer.
  bool answering() const { return has_process() && heartbeat_age_ms <= kHeartbeatLimitMs; }
};

// Every slot that is not free, at the given instants of the two clocks.
std::vector<WorkerView> view_workers(const shm::Segment& segment, uint64_t monotonic_now_ms,
                                     uint64_t wall_now_ms);
std::string workers_text(const std::vector<WorkerView>& workers, const Style& style = {});
std::string workers_json(const std::vector<WorkerView>& workers, bool master_alive);

ExitCode run_workers(const Options& options);

}  // namespace holdfast::ctl
