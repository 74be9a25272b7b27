// worker/net/turn_budget.h - how much work one turn of the loop may do, and how much of it one connection; and the heartbeat.
//
// A turn that is bounded in bytes alone is not bounded in time: 64 KiB are 30,000 messages of one byte, each of which may go to
// thousands. So work is counted where it is done, in units of about a microsecond, and a connection that has used up its share
// lets the others go on: the rest of its work waits, in order, for the next turn.
//
//   begin_turn(now)   the worker, when a turn begins: mail in, waiting input, mail and frames out, sleep, events
//   begin_events()    the worker, before it waits for events: whatever the turn has cost so far, they get a quarter of one
//   begin_share()     a connection, before it decodes the bytes it has read, or goes on with the rest of earlier ones
//   spend(units)      all code that does work, wherever (a message, a delivery, bytes inflated, a request, a reply header)
//   share_spent()     the connection, between two messages: true: keep the rest, go on in the next turn
//   turn_spent()      before something new is begun: true: not in this turn
//   congested(bool)   the router: so much is waiting to be handed out that no new publishing should be taken on. Code that only
//                     answers its own client (an echo, a pong, a request to the application) goes on
//   beat()            within long steps that are ours and that are not counted in units (a TLS hand-shake, a slice of a list)
//
// Heartbeat: the master aborts a worker whose SlotHead::heartbeat_ms stands still for hang_timeout. It is written at the begin of a
// turn, by beat(), and by spend() after every kBeatEvery units, so that only a step without any counted work is a hang.
// Nothing is written before beats_in(): a standby does not own the word.
//
// Invariants
//   I1  A share is at most the units it was begun with and at most the rest of the turn, but never nothing: a connection that
//       begins gets one message on.
//   I2  Nobody is interrupted: the bound is exceeded by at most one message's own cost.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace holdfast {

class TurnBudget {
 public:
  static constexpr int64_t kTurn = 8'192;  // about 8 ms
  static constexpr int64_t kShare = 256;
  // Of a connection that has just been read: many may be ready in one turn.
  static constexpr int64_t kFirstShare = 64;
  // Costs, in units.
  static constexpr int64_t kMessage = 1;
  static constexpr int64_t kDeliveriesAUnit = 4;
  static constexpr int64_t kAppRequest = 10;
  static constexpr int64_t kReplyHeader = 1;
  static constexpr int64_t kApiRequest = 4;
  static int64_t inflated(size_t bytes) { return int64_t(bytes / 1024); }

  void begin_turn(uint64_t now_ms) {
    left_ = kTurn;
    beat(now_ms);
  }
  void begin_events() { left_ = std::max(left_, kTurn / 4); }
  void begin_share(int64_t units = kShare) {
    share_ = std::max<int64_t>(std::min(units, left_), 1);
  }
  void spend(int64_t units) {
    left_ -= units;
    share_ -= units;
    if (left_ <= beat_below_) beat();
  }
  bool share_spent() const { return share_ <= 0; }
  bool turn_spent() const { return left_ <= 0; }
  int64_t left() const { return left_; }
  bool congested() const { return congested_; }
  void congested(bool yes) { congested_ = yes; }

  // The word is this process's from now on.
  void beats_in(std::atomic<uint64_t>& heartbeat_ms) { heartbeat_ms_ = &heartbeat_ms; }
  void beat() { beat(monotonic_ms()); }

 private:
  static constexpr int64_t kBeatEvery = 1'024;

  void beat(uint64_t now_ms) {
    beat_below_ = left_ - kBeatEvery;
    if (heartbeat_ms_ != nullptr) heartbeat_ms_->store(now_ms, std::memory_order_relaxed);
  }

  int64_t left_ = kTurn;
  int64_t share_ = kShare;
  int64_t beat_below_ = kTurn - kBeatEvery;
  std::atomic<uint64_t>* heartbeat_ms_ = nullptr;
  bool congested_ = false;
};

}  // namespace holdfast
