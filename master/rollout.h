// master/rollout.h - brings up the workers of the first generation; the start is one.
//
//   state      event                                         -> state      action
//   idle       begin, all forked                             -> starting
//   idle       begin, a fork failed                          -> idle       abandon those that were forked
//   starting   a worker is ready, all others are             -> idle       answer `done`
//   starting   a worker died five times before it was ready  -> starting   answer `failed`: the caller abandons
//   starting   a worker that was ready died                  -> starting   Slots respawns it
//   starting   abandon                                       -> idle       Slots::abandon() for each
//
// A reload does it otherwise (standbys.h, handover_broker.h): its slots are taken.
#pragma once

#include <vector>

#include "master/slots.h"

namespace holdfast::master {

class Rollout {
 public:
  static constexpr unsigned kMaxEarlyDeaths = 5;
  enum class News : uint8_t { none, done, failed };

  explicit Rollout(Slots& slots) : slots_(slots) {}

  // Forks one worker for each lane into empty slots. Errc::limit if there are too few of them.
  Result<void> begin(const Generation& generation);
  News on_slot_ready(uint16_t slot);
  News on_slot_crashed(uint16_t slot) const;
  void abandon();
  bool active() const { return !mine_.empty(); }

 private:
  bool includes(uint16_t slot) const;

  Slots& slots_;
  std::vector<uint16_t> mine_;
};

}  // namespace holdfast::master
