// master/slots.h - who serves which slot: starts processes, notices their death, starts them again.
//
// Every slot is in one phase, and has a purpose that says what to do when its process is gone.
//
//   phase      event                               -> phase      action
//   empty      start                               -> starting   fork
//   starting   worker says ready, purpose serve    -> serving
//   starting   worker says ready, purpose drain    -> draining   kDrain
//   serving    drain                               -> draining   kDrain, purpose drain
//   starting   drain                               -> starting   purpose drain
//   waiting    drain                               -> waiting    purpose drain: the next process
//   gets no listeners any        process left, purpose leave         -> empty draining   process
//   left with status 0          -> empty any else   process left                        -> waiting
//   slot dead, gauges and filter column cleared waiting    back-off over                       ->
//   starting   fork waiting    stop                                -> empty waiting    abandon,
//   never ready so far         -> empty starting   abandon, never ready so far         -> starting
//   SIGKILL, purpose leave (others)   abandon                             -> as drain: it may have
//   clients already any        stop                                -> (same)     kQuit or kTerm,
//   purpose leave
//
// A draining worker that crashes still owes close events for the sessions in its slab: its slot
// gets a process that accepts nothing, and is told to drain once it is ready.
//
// Who writes: the master alone. In the segment it writes a slot's head while no process serves it
// (R2), and restarts.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/event.h"
#include "master/backoff.h"
#include "master/reap.h"
#include "master/spawn.h"
#include "master/worker_process.h"

namespace holdfast::master {

enum class Phase : uint8_t { empty, starting, serving, draining, waiting };
enum class Purpose : uint8_t { serve, drain, leave };

// Hears what became of a slot; called from the loop. May call every method of Slots but reap().
class SlotObserver {
 public:
  virtual void on_slot_ready(uint16_t slot) = 0;
  virtual void on_slot_crashed(uint16_t slot) = 0;  // it waits for its next process now
  virtual void on_slot_empty(uint16_t slot) = 0;

 protected:
  ~SlotObserver() = default;
};

struct Slot {
  Phase phase = Phase::empty;
  Purpose purpose = Purpose::serve;
  const Generation* generation = nullptr;  // there unless empty
  unsigned ordinal = 0;
  std::unique_ptr<WorkerProcess> process;  // there in starting, serving, draining
  bool accepts = false;
  bool served = false;  // some process of it has been ready, so clients may be owed something
  Backoff backoff;
  unsigned early_deaths = 0;  // processes in a row that died before they were ready
  uint64_t started_ms = 0;
  uint64_t respawn_at_ms = 0;
  uint64_t aborted_ms = 0;  // when the heartbeat watch sent SIGABRT; 0 = it did not
};

class Slots : public WorkerListener, public MasterOnly {
 public:
  Slots(Loop& loop, shm::Segment& segment, Spawner& spawner, SlotObserver& observer);

  // The slot is empty. On error it still is.
  Result<void> start(uint16_t slot, const Generation& generation, unsigned ordinal);
  void drain(uint16_t slot);
  void abandon(uint16_t slot);
  // Every slot; `word` is kQuit or kTerm. Nothing is respawned afterwards.
  void stop(char word);
  void tell_all(char word);
  // SIGKILL to all that are left. Returns how many.
  unsigned kill_all();
  // On SIGCHLD.
  void reap();

  Slot& operator[](uint16_t slot) { return slots_[slot]; }
  const Slot& operator[](uint16_t slot) const { return slots_[slot]; }
  uint16_t size() const { return uint16_t(slots_.size()); }
  std::vector<uint16_t> empty_slots() const;
  bool all_empty() const { return empty_slots().size() == slots_.size(); }
  bool runs(const Generation& generation) const;
  // Does a process of another generation still accept connections, or might?
  bool others_accept(const Generation& generation) const;

  void close_in_child() override;

 private:
  void on_worker_ready(WorkerProcess& process) override;
  void on_exit(const Exit& exit);
  void on_crash(uint16_t slot, const Exit& exit, bool was_ready);
  void vacate(uint16_t slot);
  Result<void> spawn(uint16_t slot);
  void respawn(uint16_t slot);
  void respawn_later(uint16_t slot, uint64_t wait_ms);
  void on_tick();

  Loop& loop_;
  shm::Segment& segment_;
  Spawner& spawner_;
  SlotObserver& observer_;
  std::vector<Slot> slots_;
  std::optional<Ticker> ticker_;  // runs only while a slot waits
  bool ticking_ = false;
};

}  // namespace holdfast::master
