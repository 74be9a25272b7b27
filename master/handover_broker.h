// master/handover_broker.h - the second half of a reload: one slot after the other goes from its
// process to its successor.
//
// The generation is accepted, there is no way back. A slot that cannot be handed over after
// kMaxTakeovers attempts stays with its process and its configuration, and is named in failures().
//
// The slot whose turn it is, the first of the list:
//   step       event                            -> step       action
//   turn       serves, successor ready          -> asked      Slots::hand_over, 30 s
//   turn       serves, successor not ready      -> preparing  fork one if there is none, 30 s
//   turn       starting                         -> turn       it will be ready, or die
//   turn       waiting                          -> done       Slots::renew: its next process is a new one
//   turn       empty                            -> done       an ordinary worker if the place accepts
//   turn       has the generation, or drains    -> done       nothing to do
//   preparing  ready                            -> asked      Slots::hand_over
//   preparing  died, 30 s, fork failed          -> turn       that was an attempt
//   asked      taken                            -> done
//   asked      kept                             -> turn       that was an attempt
//   asked      successor died                   -> asked      its process says kept, or has committed to it
//   asked      30 s                             -> mute       the successor is killed, 10 s
//   mute       taken, kept                      as asked
//   mute       10 s                             -> failed     Slots judges anything that comes later
//   turn, third attempt over                    -> failed
//   any        the slot's process died          -> done       Slots::renew
// Any other slot of the list: its process died -> done as above; everything else waits for its turn.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "master/succession_plan.h"

namespace holdfast::master {

class HandoverBroker {
 public:
  static constexpr unsigned kMaxTakeovers = 3;
  static constexpr uint64_t kPatienceMs = 30'000;
  static constexpr uint64_t kLastWordMs = 10'000;
  struct Failure {
    uint16_t slot;
    std::string why;
  };

  explicit HandoverBroker(Slots& slots) : slots_(slots) {}

  void begin(const Generation& generation, const std::vector<Place>& places);
  void on_slot_ready(uint16_t slot);
  void on_slot_crashed(uint16_t slot);
  void on_slot_empty(uint16_t slot);
  void on_succession(uint16_t slot, Succession news);
  // Once a second: the bounds.
  void check(uint64_t now_ms);
  // Successors that wait are the caller's: the master stops, and sends them all the word.
  void cancel() { list_.clear(); }

  bool active() const { return !list_.empty(); }
  unsigned taken() const { return taken_; }
  const std::vector<Failure>& failures() const { return failures_; }

 private:
  enum class Step : uint8_t { turn, preparing, asked, mute };

  bool is_turn_of(uint16_t slot) const { return active() && list_.front().slot == slot; }
  void go_on();
  bool over();
  bool attempt();
  Result<void> prepare(const Place& place);
  Result<void> ask(const Place& place);
  void attempt_failed(const std::string& why);
  void start_anew(const Place& place);
  void on_died();

  Slots& slots_;
  const Generation* generation_ = nullptr;
  std::deque<Place> list_;
  Step step_ = Step::turn;
  unsigned attempts_ = 0;  // failed ones, of the first in the list
  uint64_t deadline_ms_ = 0;
  std::string trouble_;  // the error of the last attempt
  unsigned taken_ = 0;
  std::vector<Failure> failures_;
};

}  // namespace holdfast::master
