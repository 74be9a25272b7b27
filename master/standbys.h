// master/standbys.h - the first half of a reload: a successor for every slot that has a process, a
// worker for every slot that is new, and nobody has given up anything yet.
//
//   state      event                                  -> state      action
//   idle       begin, all forked                      -> waiting
//   idle       begin, a fork failed                   -> idle       as abandon; the error
//   waiting    ready: all others are too              -> ready
//   waiting    a successor died, 1st to 4th time      -> waiting    fork another one
//   waiting    a successor died for the 5th time      -> failed
//   waiting    a fork failed                          -> failed
//   waiting    a new worker died 5 times before ready -> failed
//   waiting, ready   a slot's process died            -> (same)     Slots respawns it with the old
//                                                                   configuration; its successor waits on
//   waiting    a slot became empty                    -> waiting    an ordinary worker if the place
//                                                                   accepts, nothing otherwise
//   ready      release                                -> idle       the caller has the places now
//   any        abandon                                -> idle       successors killed; new workers
//                                                                   Slots::abandon()
//
// A slot that waits for its next process gets no successor: there is nothing to hand over.
#pragma once

#include <string>
#include <vector>

#include "master/succession_plan.h"

namespace holdfast::master {

class Standbys {
 public:
  static constexpr unsigned kMaxDeaths = 5;
  enum class State : uint8_t { idle, waiting, ready, failed };

  explicit Standbys(Slots& slots) : slots_(slots) {}

  // `generation` stays until the places are released or abandoned.
  Result<void> begin(const Generation& generation, const std::vector<Place>& places);
  void on_slot_ready(uint16_t slot);
  void on_slot_crashed(uint16_t slot);
  void on_slot_empty(uint16_t slot);
  void on_succession(uint16_t slot, Succession news);
  std::vector<Place> release();
  void abandon();

  State state() const { return state_; }
  const std::string& why() const { return why_; }  // failed

 private:
  struct Preparation {
    Place place;
    bool is_new;  // an ordinary worker in a slot that was empty
    unsigned deaths = 0;
  };

  Result<void> prepare(Preparation& preparation);
  Preparation* find(uint16_t slot);
  bool is_ready(const Preparation& preparation) const;
  void look();
  void fail(const std::string& why);

  Slots& slots_;
  const Generation* generation_ = nullptr;
  std::vector<Preparation> list_;
  State state_ = State::idle;
  std::string why_;
};

}  // namespace holdfast::master
