// master/watch.h - notices a worker whose loop stands still, and ends it so that evidence stays.
//
// A worker stores the time of its last turn in SlotHead::heartbeat_ms. Older than hang_timeout:
// SIGABRT (a core dump says where it stood); still there 2 s later: SIGKILL. The death is then an
// ordinary crash. A slot that is handed over has one heartbeat throughout: its predecessor's up to
// the commit, its successor's from then on; the signal goes to the one whose it is. A process that
// only stands by has none: who waits for it has a deadline.
#pragma once

#include <cstdint>

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
  // Once a second.
  void check(uint64_t now_ms);

 private:
  void end(uint16_t slot, Verdict verdict, uint64_t silent_ms);

  Slots& slots_;
  shm::Segment& segment_;
  uint64_t last_check_ms_ = 0;
  uint64_t forgiven_until_ms_ = 0;  // heartbeats older than this count as this old
};

}  // namespace holdfast::master
