// master/slots.h - who serves which slot: starts processes, notices their death, starts them again,
// and has one process give its slot to another.
//
// Every slot is in one phase, and has a purpose that says what to do when its process is gone.
//
//   phase      event                             -> phase      action
//   empty      start                             -> starting   fork
//   starting   ready, purpose serve              -> serving
//   starting   ready, purpose finish             -> finishing  (draining with kDrain if it accepts)
//   serving    drain                             -> draining   kDrain, purpose finish
//   starting   drain                             -> starting   purpose finish
//   waiting    drain                             -> waiting    purpose finish
//   finishing, draining   process left with 0    -> empty
//   any        process left, purpose leave       -> empty
//   any        process left otherwise            -> waiting    slot dead, gauges and filter column cleared
//   waiting    back-off over                     -> starting   fork
//   waiting    renew                             -> waiting    other terms for the next process
//   waiting    stop                              -> empty
//   waiting    abandon, never ready so far       -> empty
//   starting   abandon, never ready so far       -> starting   SIGKILL, purpose leave
//   (others)   abandon                           -> as drain: it may have clients already
//   any        stop                              -> (same)     kQuit or kTerm, purpose leave
//
// A finishing process has no listeners: it serves the sessions there are, and ends with the last. So
// does the next process of one that crashed and owed close events.
//
// Beside its process a slot may have a *successor*, which changes none of the above:
//
//   successor  event                             -> successor  action
//   none       stand_by                          -> forked     fork; the slot's head is not touched
//   forked     ready                             -> ready      tell the observer
//   ready      hand_over                         -> asked      both sides get an end of a socket
//   forked, ready   dismiss, slot empty          -> none       SIGKILL, a leaver now
//   forked, ready   died                         -> none       tell the observer
//   asked      commit seen                       -> none       it is the slot's process, its terms the slot's;
//                                                              the former one is a leaver; tell the observer
//   asked      kept                              -> none       SIGKILL, a leaver now; tell the observer
//   asked      died without a commit             -> none, asked   tell the observer; the word of the process decides
//   asked      dismiss                           -> asked      SIGKILL
//   asked      process died without a commit     -> none       crash as above
//   none, asked   process left with a commit to the dead one  -> none   crash as above
//
// The commit is in the segment: SlotHead::pid names another process than the slot's. It is seen when
// the successor reports it (kTaken), when either is reaped, or by look(), whichever comes first.
// A *leaver* is a process that has no slot any more: a predecessor, a dismissed successor. Its exit
// means nothing; after 5 s it is killed.
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

// By these numbers in SlotRecord, so a new one comes last.
enum class Phase : uint8_t { empty, starting, serving, finishing, draining, waiting };
enum class Purpose : uint8_t { serve, finish, leave };
enum class Succession : uint8_t { ready, died, taken, kept };  // of a slot's successor

class Generations;

// Gets the events of slots; called from the loop. May call every method of Slots but reap().
class SlotObserver {
 public:
  virtual void on_slot_ready(uint16_t slot) = 0;
  virtual void on_slot_crashed(uint16_t slot) = 0;  // it waits for its next process now
  virtual void on_slot_empty(uint16_t slot) = 0;    // and no process that had it is left
  virtual void on_succession(uint16_t slot, Succession news) = 0;
  virtual void on_other_exit(const Exit& exit) = 0;  // a child that has no slot

 protected:
  ~SlotObserver() = default;
};

// The task of a process in its slot.
struct Terms {
  const Generation* generation;
  unsigned ordinal;  // which lanes: ListenSockets::share_of()
  bool accepts;
};

struct Successor {
  std::unique_ptr<WorkerProcess> process;
  Terms terms;
  bool ready = false;
};

struct Slot {
  Phase phase = Phase::empty;
  Purpose purpose = Purpose::serve;
  const Generation* generation = nullptr;  // there unless empty
  unsigned ordinal = 0;
  std::unique_ptr<WorkerProcess> process;  // there unless empty or waiting
  bool accepts = false;                    // the process does
  std::optional<Successor> successor;
  bool asked = false;   // the process is to hand over, and has neither done so nor said no
  bool served = false;  // some process of it has been ready, so clients may be owed something
  Backoff backoff;
  unsigned early_deaths = 0;  // processes in a row that died before they were ready
  uint64_t started_ms = 0;    // since when the process has the slot
  uint64_t respawn_at_ms = 0;
  uint64_t aborted_ms = 0;  // when the heartbeat watch sent SIGABRT; 0 = it did not
};

class Slots : public WorkerListener, public MasterOnly {
 public:
  static constexpr uint64_t kLeaveMs = 5'000;

  Slots(Loop& loop, shm::Segment& segment, Spawner& spawner, SlotObserver& observer);

  // The slot is empty. On error it still is.
  Result<void> start(uint16_t slot, const Generation& generation, unsigned ordinal);
  void drain(uint16_t slot);
  void abandon(uint16_t slot);
  // The slot waits for its next process: it gets these terms, and nobody stands by any more.
  void renew(uint16_t slot, const Terms& terms);
  // Every slot; `word` is kQuit or kTerm. Nothing is respawned afterwards. If a slot is just being
  // handed over, both get the word, so the survivor ends.
  void stop(char word);
  void tell_all(char word);
  // SIGKILL to all that are left. Returns how many.
  unsigned kill_all();
  // On SIGCHLD.
  void reap();

  // The slot has a process and no successor. On error it has none still.
  Result<void> stand_by(uint16_t slot, const Terms& terms);
  // The successor is ready. Success: news is on the way, taken or kept, or the process's death. An
  // error changes nothing; the successor may end.
  Result<void> hand_over(uint16_t slot);
  void dismiss(uint16_t slot);
  // Once a second: commits that nobody has reported, leavers that do not leave.
  void look(uint64_t now_ms);

  // Between two images of the master (takeover.h). No slot has a successor then. A process that is
  // not our child any more has crashed; one that serves a slot that the record does not name was
  // the work of an image that crashed, and is killed.
  void save(MasterRecord& record) const;
  void restore(const MasterRecord& record, const Generations& generations);
  bool has_successors() const;

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
  struct Leaver {
    uint16_t slot;
    std::unique_ptr<WorkerProcess> process;
    uint64_t kill_at_ms;
  };

  void on_worker_ready(WorkerProcess& process) override;
  void on_worker_taken(WorkerProcess& process) override;
  void on_worker_kept(WorkerProcess& process) override;

  void on_exit(const Exit& exit);
  bool on_leaver_exit(const Exit& exit);
  void on_process_exit(uint16_t slot, const Exit& exit);
  void on_successor_exit(uint16_t slot, const Exit& exit);
  void on_crash(uint16_t slot, const Exit& exit, bool was_ready);
  void clear_away(uint16_t slot, bool expected, bool clean);
  void vacate(uint16_t slot);
  void give_shards_away(uint16_t from);
  void announce_if_empty(uint16_t slot);
  bool is_empty(uint16_t slot) const;

  Result<void> spawn(uint16_t slot);
  void respawn(uint16_t slot);
  void respawn_later(uint16_t slot, uint64_t wait_ms);
  void on_tick();

  void restore_slot(const SlotRecord& record, const Generation& generation);
  void restore_leaver(const LeaverRecord& record);
  void end_stranger(uint16_t slot, const Generation& generation);

  bool committed(uint16_t slot) const;
  void promote(uint16_t slot);
  void send_off(uint16_t slot, std::unique_ptr<WorkerProcess> process);

  Loop& loop_;
  shm::Segment& segment_;
  Spawner& spawner_;
  SlotObserver& observer_;
  std::vector<Slot> slots_;
  std::vector<Leaver> leavers_;
  std::optional<Ticker> ticker_;  // runs only while a slot waits
  bool ticking_ = false;
};

}  // namespace holdfast::master
