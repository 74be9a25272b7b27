// Of slots.h: what one image of the master tells the next of its slots.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "master/generations.h"
#include "master/master_record.h"
#include "master/slots.h"

namespace holdfast::master {
namespace {

// Dead ones that have not been reaped are children too.
bool is_child(pid_t pid) {
  siginfo_t info{};
  return pid > 0 && waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// For a process whose channel is lost: it reads the end of its own, or has ended.
UniqueFd dead_channel() {
  int ends[2];
  HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  UniqueFd far(ends[1]);
  return UniqueFd(ends[0]);
}

}  // namespace

bool Slots::has_successors() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return bool(s.successor); });
}

void Slots::save(MasterRecord& record) const {
  HF_CHECK(!has_successors());
  for (uint16_t i = 0; i < size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.phase == Phase::empty) continue;
    record.slots.push_back(SlotRecord{
        i, uint8_t(slot.phase), uint8_t(slot.purpose), slot.generation->number, slot.ordinal,
        slot.process ? slot.process->pid() : 0, slot.process ? slot.process->control() : 0,
        slot.accepts, slot.served, slot.backoff.next_ms(), slot.early_deaths, slot.started_ms,
        slot.respawn_at_ms, slot.aborted_ms, slot.backoff.calm_at_ms()});
  }
  for (const Leaver& leaver : leavers_)
    record.leavers.push_back(
        {leaver.slot, leaver.process->pid(), leaver.process->control(), leaver.kill_at_ms});
}

void Slots::restore(const MasterRecord& record, const Generations& generations) {
  for (const LeaverRecord& leaver : record.leavers) restore_leaver(leaver);
  for (const SlotRecord& slot : record.slots) {
    if (slot.slot >= size()) continue;
    const Generation* generation = generations.find(slot.generation);
    restore_slot(slot, generation == nullptr ? generations.current() : *generation);
  }
  for (uint16_t i = 0; i < size(); ++i)
    if (slots_[i].phase == Phase::empty) end_stranger(i, generations.current());
  // Now it is known who is there.
  for (uint16_t i = 0; i < size(); ++i)
    if (slots_[i].phase == Phase::empty) give_shards_away(i);
}

void Slots::restore_leaver(const LeaverRecord& record) {
  if (!is_child(record.pid)) return;
  leavers_.push_back({record.slot,
                      std::make_unique<WorkerProcess>(loop_, record.slot, record.pid,
                                                      UniqueFd(record.control), *this),
                      record.kill_at_ms});
}

void Slots::restore_slot(const SlotRecord& record, const Generation& generation) {
  Slot& slot = slots_[record.slot];
  slot.phase = Phase(record.phase);
  slot.purpose = Purpose(record.purpose);
  slot.generation = &generation;
  slot.ordinal = record.ordinal;
  slot.accepts = record.accepts;
  slot.served = record.served;
  slot.backoff.restore(record.backoff_ms, record.calm_at_ms);
  slot.early_deaths = record.early_deaths;
  slot.started_ms = record.started_ms;
  slot.aborted_ms = record.aborted_ms;
  uint64_t now_ms = monotonic_ms();
  if (record.pid == 0)
    return respawn_later(record.slot,
                         record.respawn_at_ms - std::min(record.respawn_at_ms, now_ms));
  bool lives = is_child(record.pid);
  slot.process = std::make_unique<WorkerProcess>(
      loop_, record.slot, record.pid, lives ? UniqueFd(record.control) : dead_channel(), *this);
  // The image between that one and us has seen its end, and did not get to tell.
  if (!lives) on_process_exit(record.slot, Exit{record.pid, SIGKILL});
}

// Its slot is empty by the record, so an image that has crashed since has started it.
void Slots::end_stranger(uint16_t i, const Generation& generation) {
  auto pid = pid_t(segment_.slot(i).pid.load(std::memory_order_acquire));
  if (segment_.slot(i).state.load(std::memory_order_acquire) == shm::SlotState::free ||
      !is_child(pid))
    return;
  Slot& slot = slots_[i];
  log_warn("worker of a failed upgrade is killed slot={} pid={}", i, pid);
  slot.process = std::make_unique<WorkerProcess>(loop_, i, pid, dead_channel(), *this);
  slot.generation = &generation;
  slot.phase = Phase::serving;
  slot.purpose = Purpose::finish;  // the next process closes what this one has let in
  slot.accepts = slot.served = true;
  slot.process->kill(SIGKILL);
}

}  // namespace holdfast::master
