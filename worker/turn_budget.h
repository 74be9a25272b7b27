// worker/turn_budget.h - how much work one turn of the loop may do, and how much of it one connection.
//
// A turn that is bounded in bytes alone is not bounded in time: 64 KiB are 30,000 messages of one byte, each of which may go to
// thousands. So work is counted where it is done, in units of about a microsecond, and whoever has used up its share lets the
// others go on: what is left waits, in order, for the next turn.
//
//   begin_turn()      the loop, before its first event of a turn
//   begin_share()     a connection, before it decodes what it has read, or goes on with what it had left
//   spend(units)      whoever does the work, wherever (a message, a delivery, bytes inflated, a request, a reply header)
//   share_spent()     the connection, between two messages: true: keep the rest, go on in the next turn
//   turn_spent()      before something new is begun: true: not in this turn
//   congested(bool)   the router: so much is waiting to be handed out that no new input should be taken on
//
// Invariants
//   I1  A share is at most kShare and at most what the turn has left, but never nothing: whoever begins, gets one message on.
//   I2  Nobody is interrupted: the bound is passed by at most one message's own cost.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace holdfast {

class TurnBudget {
 public:
  static constexpr int64_t kTurn = 8'192;  // about 8 ms
  static constexpr int64_t kShare = 256;
  // What things cost, in units.
  static constexpr int64_t kMessage = 1;
  static constexpr int64_t kDeliveriesAUnit = 4;
  static constexpr int64_t kAppRequest = 10;
  static constexpr int64_t kReplyHeader = 1;
  static constexpr int64_t kApiRequest = 4;
  static int64_t inflated(size_t bytes) { return int64_t(bytes / 1024); }

  void begin_turn() { left_ = kTurn; }
  void begin_share() { share_ = std::max<int64_t>(std::min(kShare, left_), 1); }
  void spend(int64_t units) {
    left_ -= units;
    share_ -= units;
  }
  bool share_spent() const { return share_ <= 0 || congested_; }
  bool turn_spent() const { return left_ <= 0; }
  int64_t left() const { return left_; }
  bool congested() const { return congested_; }
  void congested(bool yes) { congested_ = yes; }

 private:
  int64_t left_ = kTurn;
  int64_t share_ = kShare;
  bool congested_ = false;
};

}  // namespace holdfast
