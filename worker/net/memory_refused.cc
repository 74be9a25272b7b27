#include "worker/net/memory_refused.h"

#include "base/log.h"

namespace holdfast {

void count_memory_refused(shm::StatsBlock& stats, std::string_view what) {
  stats.memory_refused.add();
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_error(
        "shared memory is full: {} refused times={}; give /dev/shm more room (docker: --shm-size), "
        "or lower "
        "limits.max_sessions, limits.mailbox_size or server.workers",
        what, n);
}

}  // namespace holdfast
