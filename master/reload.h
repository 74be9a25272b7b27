// master/reload.h - HUP or "reload": a new configuration without a refused or reset new connection.
//
// Timeline, with what happens when a step fails: up to (6) nothing has changed, and the reload is
// refused or abandoned.
//   1  load and check the file                      every problem is logged; refused
//   2  settings that need a restart                 named; refused
//   3  user, log target, free slots                 refused
//   4  open the sockets that are new                refused, what was opened is closed
//   5  fork a successor for each lane; both generations accept from the lanes' sockets
//   6  wait until every successor is ready          one that dies 5 times, or 30 s: abandoned.
//   Successors that were ready
//                                                   drain (they may have clients), the others are
//                                                   killed
//   7  tell the old workers to drain; publish the generation and the listeners; log settings apply
//   8  when no old worker accepts any more, sockets of removed listeners are closed (retire())
//
//   state      event                    -> state      action
//   idle       asked                    -> idle       refused in (1..4)
//   idle       asked                    -> starting   (5)
//   starting   asked by a client        -> starting   refused: one is under way
//   starting   asked by a signal        -> starting   noted: another one follows at once
//   starting   all ready                -> idle       (7)
//   starting   failed, 30 s, stop       -> idle       abandoned
//
// In an abandoned reload with more workers or new addresses the fresh sockets are closed with what
// waited in them.
#pragma once

#include "master/commands.h"
#include "master/generations.h"
#include "master/rollout.h"

namespace holdfast::master {

class ControlSocket;

class Reload {
 public:
  static constexpr uint64_t kPatienceMs = 30'000;

  Reload(Generations& generations, Slots& slots, ListenSockets& sockets, shm::Segment& segment,
         ControlSocket& control)
      : generations_(generations),
        slots_(slots),
        sockets_(sockets),
        segment_(segment),
        control_(control),
        rollout_(slots) {}

  void ask(Asker asker);
  void on_slot_ready(uint16_t slot);
  void on_slot_crashed(uint16_t slot);
  // Once a second: the deadline, and sockets that nobody needs any more.
  void check(uint64_t now_ms);
  // The master stops.
  void cancel();
  // Closes the sockets of removed listeners once no old worker accepts any more.
  void retire();

 private:
  Result<Generation> next_generation(std::vector<std::string>& details) const;
  Result<void> begin(std::vector<std::string>& details);
  void finish();
  void abandon(const std::string& why);
  void refuse(const std::string& why, const std::vector<std::string>& details);
  void after();

  Generations& generations_;
  Slots& slots_;
  ListenSockets& sockets_;
  shm::Segment& segment_;
  ControlSocket& control_;
  Rollout rollout_;
  const Generation* next_ = nullptr;
  Asker asker_;
  bool again_ = false;
  uint64_t deadline_ms_ = 0;
};

// Sockets' options for a generation (ListenSockets::open).
ListenSockets::Options socket_options(const Rights& rights, bool take_over);

}  // namespace holdfast::master
