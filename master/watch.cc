#include "master/watch.h"

#include <signal.h>

#include <utility>

#include "base/log.h"

namespace holdfast::master {

Verdict judge_heartbeat(uint64_t now_ms, uint64_t heartbeat_ms, uint64_t hang_timeout_ms,
                        uint64_t aborted_ms) {
  if (aborted_ms != 0) return now_ms >= aborted_ms + kAbortGraceMs ? Verdict::kill : Verdict::wait;
  return now_ms > heartbeat_ms && now_ms - heartbeat_ms > hang_timeout_ms ? Verdict::abort
                                                                          : Verdict::fine;
}

void HeartbeatWatch::check(uint64_t now_ms, uint64_t stood_still_ms) {
  bool gap = std::exchange(stood_still_ms_, stood_still_ms) != stood_still_ms;
  uint64_t own_ms = now_ms - stood_still_ms;
  slots_.look(now_ms);  // so each slot's process is the one whose heartbeat it is
  seen_.resize(slots_.size());
  for (uint16_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.process) continue;
    if (gap && slot.aborted_ms != 0) slot.aborted_ms = now_ms;
    uint64_t beat_ms = segment_.slot(i).heartbeat_ms.load(std::memory_order_relaxed);
    Seen& seen = seen_[i];
    if (gap || seen.pid != slot.process->pid() || seen.beat_ms != beat_ms)
      seen = {slot.process->pid(), beat_ms, own_ms};
    uint64_t silent_ms = own_ms - seen.at_ms;
    uint64_t hang_timeout_ms = slot.generation->config.server.hang_timeout_ms;
    end(i, judge_heartbeat(now_ms, now_ms - silent_ms, hang_timeout_ms, slot.aborted_ms), now_ms,
        silent_ms);
  }
}

void HeartbeatWatch::end(uint16_t i, Verdict verdict, uint64_t now_ms, uint64_t silent_ms) {
  Slot& slot = slots_[i];
  if (verdict == Verdict::abort) {
    log_error("worker hangs slot={} pid={} silent_ms={}; aborting it, look for its core", i,
              slot.process->pid(), silent_ms);
    slot.aborted_ms = now_ms;
    slot.process->kill(SIGABRT);
  } else if (verdict == Verdict::kill) {
    log_error("worker outlived its abort slot={} pid={}; killing it", i, slot.process->pid());
    slot.process->kill(SIGKILL);
  }
}

}  // namespace holdfast::master
