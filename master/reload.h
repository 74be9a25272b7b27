// master/reload.h - HUP or "reload": a new configuration, and nobody's connection is closed or
// refused.
//
// Timeline, with what happens when a step fails: up to (6) nothing has changed, and the reload is
// refused or abandoned; from (7) on there is no way back.
//   1  load and check the file                     every problem is logged; refused
//   2  settings that need a restart                named; refused
//   3  user, log target, slots for all workers     refused
//   4  open the sockets that are new               refused, the new ones are closed
//   5  fork a successor for each slot that has a process, and a worker for each slot more; a slot
//      less has a successor without listeners
//   6  wait until all are ready (Standbys)         one that dies 5 times, or 30 s: abandoned.
//                                                  Successors are killed, workers of new slots drain
//                                                  if they have been ready
//   7  accept the generation; slot after slot goes to its successor, those that accept first
//      (HandoverBroker)                            three attempts, then the slot's process goes on
//                                                  as it is: partly done, slots are named
//   8  publish the generation and the listeners, log settings apply, answer; sockets of removed
//      listeners are closed when nobody accepts from them any more (retire())
//
//   state      event                    -> state      action
//   idle       asked                    -> idle       refused in (1..5)
//   idle       asked                    -> preparing  (5)
//   preparing  all ready                -> handing over  (7)
//   preparing  failed, 30 s, stop       -> idle       abandoned
//   handing over   every slot settled   -> idle       (8)
//   handing over   stop                 -> idle       answered: the master stops
//
// In an abandoned reload with more workers or new addresses the fresh sockets are closed with the
// connections that waited in them.
#pragma once

#include "master/commands.h"
#include "master/generations.h"
#include "master/handover_broker.h"
#include "master/standbys.h"

namespace holdfast::master {

class ReloadObserver {
 public:
  // From here on slots change hands.
  virtual void on_reload_accepted() = 0;
  // `changed`: some slot was handed over.
  virtual void on_reload_ended(Asker asker, const Answer& answer, bool changed) = 0;

 protected:
  ~ReloadObserver() = default;
};

class Reload {
 public:
  static constexpr uint64_t kPatienceMs = 30'000;

  Reload(Generations& generations, Slots& slots, ListenSockets& sockets, shm::Segment& segment,
         ReloadObserver& observer)
      : generations_(generations),
        slots_(slots),
        sockets_(sockets),
        segment_(segment),
        observer_(observer),
        standbys_(slots),
        broker_(slots) {}

  void ask(Asker asker);  // idle
  bool active() const { return state_ != State::idle; }
  void on_slot_ready(uint16_t slot);
  void on_slot_crashed(uint16_t slot);
  void on_slot_empty(uint16_t slot);
  void on_succession(uint16_t slot, Succession news);
  // Once a second: the deadlines, and sockets that nobody needs any more.
  void check(uint64_t now_ms);
  // The master stops.
  void cancel();

 private:
  enum class State : uint8_t { idle, preparing, handing_over };

  Result<Generation> next_generation(std::vector<std::string>& details) const;
  Result<void> begin(std::vector<std::string>& details);
  Result<void> prepare();
  void go_on();
  void accept();
  void finish();
  Answer outcome() const;
  std::string sum() const;
  void abandon(const std::string& why);
  void refuse(const std::string& why, const std::vector<std::string>& details);
  void after(const Answer& answer, bool changed);
  void retire();

  Generations& generations_;
  Slots& slots_;
  ListenSockets& sockets_;
  shm::Segment& segment_;
  ReloadObserver& observer_;
  Standbys standbys_;
  HandoverBroker broker_;
  State state_ = State::idle;
  const Generation* next_ = nullptr;
  Asker asker_;
  uint64_t deadline_ms_ = 0;
};

// Sockets' options for a generation (ListenSockets::open).
ListenSockets::Options socket_options(const Rights& rights, bool take_over);

}  // namespace holdfast::master
