// master/watch.h - notices a worker whose loop stands still, and ends it so that evidence stays.
//
// A worker stores the time in SlotHead::heartbeat_ms as long as it turns its loop, and within long steps. If that word does not
// change for hang_timeout of the master's own time (base/process_clock.h), it hangs. If the master itself stood still, most
// likely everybody did: then each worker has all of hang_timeout again.
// It gets SIGABRT (a core dump shows where it stood); if it is still there 2 s later, SIGKILL. The death is then
// an ordinary crash. A slot that is handed over has one heartbeat throughout: its predecessor's up to
// the commit, its successor's from then on; the signal goes to the process that serves the slot. A
// process that only stands by has none: the party that waits for it has a deadline.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "master/slots.h"

namespace holdfast::master {

enum class Verdict : uint8_t { fine, abort, wait, kill };
inline constexpr uint64_t kAbortGraceMs = 2'000;
// `aborted_ms`: when SIGABRT was sent, 0 = not yet.
Verdict judge_heartbeat(uint64_t now_ms, uint64_t heartbeat_ms, uint64_t hang_timeout_ms,
                        uint64_t aborted_ms);

class HeartbeatWatch {
 public:
  HeartbeatWatch(Slots& slots, shm::Segment& segment) : slots_(slots), segment_(segment) {}
  // Once a second. `stood_still_ms`: of process_clock.
  void check(uint64_t now_ms, uint64_t stood_still_ms);

 private:
  struct Seen {
    pid_t pid = 0;
    uint64_t beat_ms = 0;
    uint64_t at_ms = 0;  // of our own time, when it was seen first
  };
  void end(uint16_t slot, Verdict verdict, uint64_t now_ms, uint64_t silent_ms);

  Slots& slots_;
  shm::Segment& segment_;
  std::vector<Seen> seen_;  // by slot
  uint64_t stood_still_ms_ = 0;
};

}  // namespace holdfast::master
