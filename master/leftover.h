// master/leftover.h - the remains of an instance whose master was killed, as far as they matter to the next one.
//
// Workers that live notice that their master is gone, drain, and see to their sessions themselves. For a dead worker nobody
// does, so the close events that its sessions are owed go into the new segment, where the worker of the same slot finds them
// as if a predecessor of its own had left them. A worker that stands still would keep its share of our addresses, and
// connections with it, for ever: it is ended once its heartbeat is hang_timeout old.
//
// Invariants
//   I1  Nothing is done to an instance whose master lives.
//   I2  A process is killed only if it has the left-over segment mapped: process ids are used again. One whose mappings may
//       not be looked at (workers of another user, and we without CAP_SYS_PTRACE) is taken for the worker that it may be:
//       nothing that it owes is sent by others, and it is not killed.
#pragma once

#include <vector>

#include "conf/config.h"
#include "shm/segment.h"

namespace holdfast::master {

struct Leftover {
  bool found = false;  // also one of another layout, of which nothing can be read
  uint32_t per_slab = 0;
  std::vector<shm::SessionView> owed;  // close events of dead workers' sessions
};

// Waits, at most hang_timeout, until every worker that is left drains or is dead.
Leftover settle_leftover(const conf::Config& config);

// Into the segment that replaces it, before the first fork. How many had no place, because max_sessions has changed or
// their slot will have no worker: they are lost.
size_t hand_down(const Leftover& leftover, const conf::Config& config, shm::Segment& fresh);

}  // namespace holdfast::master
