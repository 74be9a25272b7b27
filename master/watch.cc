#include "master/watch.h"

#include <signal.h>

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::master {
namespace {

// The check runs every second. So late, the whole machine (or our process group) stood still, and
// no heartbeat says anything about its worker.
constexpr uint64_t kLateCheckMs = 3'000;

}  // namespace

Verdict judge_heartbeat(uint64_t now_ms, uint64_t heartbeat_ms, uint64_t hang_timeout_ms,
                        uint64_t aborted_ms) {
  if (aborted_ms != 0) return now_ms >= aborted_ms + kAbortGraceMs ? Verdict::kill : Verdict::wait;
  return now_ms > heartbeat_ms && now_ms - heartbeat_ms > hang_timeout_ms ? Verdict::abort
                                                                          : Verdict::fine;
}

void HeartbeatWatch::check(uint64_t now_ms) {
  if (last_check_ms_ != 0 && now_ms - last_check_ms_ > kLateCheckMs) forgiven_until_ms_ = now_ms;
  last_check_ms_ = now_ms;
  slots_.look(now_ms);  // so each slot's process is the one whose heartbeat it is
  for (uint16_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.process) continue;
    uint64_t beat_ms = segment_.slot(i).heartbeat_ms.load(std::memory_order_relaxed);
    beat_ms = std::max(beat_ms, forgiven_until_ms_);
    Verdict verdict = judge_heartbeat(
        now_ms, beat_ms, slot.generation->config.server.hang_timeout_ms, slot.aborted_ms);
    end(i, verdict, now_ms - std::min(beat_ms, now_ms));
  }
}

void HeartbeatWatch::end(uint16_t i, Verdict verdict, uint64_t silent_ms) {
  Slot& slot = slots_[i];
  if (verdict == Verdict::abort) {
    log_error("worker hangs slot={} pid={} silent_ms={}; aborting it, look for its core", i,
              slot.process->pid(), silent_ms);
    slot.aborted_ms = monotonic_ms();
    slot.process->kill(SIGABRT);
  } else if (verdict == Verdict::kill) {
    log_error("worker outlived its abort slot={} pid={}; killing it", i, slot.process->pid());
    slot.process->kill(SIGKILL);
  }
}

}  // namespace holdfast::master
