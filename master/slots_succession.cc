// The second half of slots.h: successors, the commit, leavers.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "master/slots.h"

namespace holdfast::master {

void Slots::renew(uint16_t i, const Terms& terms) {
  Slot& slot = slots_[i];
  HF_CHECK(slot.phase == Phase::waiting);
  dismiss(i);
  slot.generation = terms.generation;
  slot.ordinal = terms.ordinal;
  slot.purpose = terms.accepts ? Purpose::serve : Purpose::finish;
  slot.early_deaths = 0;
  log_info("slot gets the new configuration with its next process slot={} generation={}", i,
           terms.generation->number);
}

Result<void> Slots::stand_by(uint16_t i, const Terms& terms) {
  Slot& slot = slots_[i];
  HF_CHECK(slot.process && !slot.successor);
  auto spawned = spawner_.spawn({i, terms.ordinal, terms.generation, terms.accepts, true});
  if (!spawned) return std::move(spawned.error());
  slot.successor = Successor{
      std::make_unique<WorkerProcess>(loop_, i, spawned->pid, std::move(spawned->control), *this),
      terms};
  log_info("successor started slot={} pid={} predecessor={} generation={}", i, spawned->pid,
           slot.process->pid(), terms.generation->number);
  return {};
}

// The successor first: a process that was asked always has somebody to talk to, or sees the end of
// the socket and says that it goes on.
Result<void> Slots::hand_over(uint16_t i) {
  Slot& slot = slots_[i];
  HF_CHECK(slot.process && slot.successor && slot.successor->ready);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{Errc::io, errno, "socket for a handover"};
  UniqueFd from(ends[0]), to(ends[1]);
  if (!slot.successor->process->tell(control_word::kTakeOver, to.get()))
    return Error{Errc::gone, 0, "its successor could not be told"};
  if (!slot.process->tell(control_word::kHandOver, from.get()))
    return Error{Errc::gone, 0, "its process could not be told"};
  slot.asked = true;
  HF_FAULT("master.takeover_asked");
  return {};
}

void Slots::on_worker_taken(WorkerProcess& process) {
  uint16_t i = process.slot();
  const Slot& slot = slots_[i];
  if (!slot.successor || slot.successor->process.get() != &process) return;  // seen already
  if (committed(i)) return promote(i);
  log_error("successor says that it serves, the segment says another slot={} pid={}; not believed",
            i, process.pid());
}

void Slots::on_worker_kept(WorkerProcess& process) {
  uint16_t i = process.slot();
  Slot& slot = slots_[i];
  if (slot.process.get() != &process || !slot.asked) return;
  slot.asked = false;  // so it commits to nobody any more
  dismiss(i);
  observer_.on_succession(i, Succession::kept);
}

void Slots::dismiss(uint16_t i) {
  Slot& slot = slots_[i];
  if (!slot.successor) return;
  slot.successor->process->kill(SIGKILL);
  if (slot.asked) return;  // the process may commit to it yet: what it was, its reaping tells
  send_off(i, std::move(slot.successor->process));
  slot.successor.reset();
}

bool Slots::committed(uint16_t i) const {
  const Slot& slot = slots_[i];
  return slot.successor && segment_.slot(i).pid.load(std::memory_order_acquire) ==
                               uint32_t(slot.successor->process->pid());
}

void Slots::promote(uint16_t i) {
  Slot& slot = slots_[i];
  send_off(i, std::move(slot.process));
  Successor successor = std::move(*slot.successor);
  slot.successor.reset();
  slot.process = std::move(successor.process);
  slot.generation = successor.terms.generation;
  slot.ordinal = successor.terms.ordinal;
  slot.accepts = successor.terms.accepts;
  slot.phase = slot.accepts ? Phase::serving : Phase::finishing;
  if (slot.purpose != Purpose::leave)
    slot.purpose = slot.accepts ? Purpose::serve : Purpose::finish;
  slot.asked = false;
  slot.early_deaths = 0;
  slot.started_ms = monotonic_ms();
  slot.aborted_ms = 0;
  log_info("slot handed over slot={} pid={} generation={}", i, slot.process->pid(),
           slot.generation->number);
  HF_FAULT("master.takeover_done");
  observer_.on_succession(i, Succession::taken);
}

void Slots::on_successor_exit(uint16_t i, const Exit& exit) {
  if (committed(i)) {
    promote(i);
    return on_process_exit(i, exit);
  }
  log_warn("successor died slot={} pid={} {}; the slot is served as before", i, exit.pid,
           exit.text());
  slots_[i].successor.reset();
  observer_.on_succession(i, Succession::died);
}

void Slots::send_off(uint16_t i, std::unique_ptr<WorkerProcess> process) {
  leavers_.push_back({i, std::move(process), monotonic_ms() + kLeaveMs});
}

bool Slots::on_leaver_exit(const Exit& exit) {
  auto at = std::find_if(leavers_.begin(), leavers_.end(),
                         [&](const Leaver& l) { return l.process->pid() == exit.pid; });
  if (at == leavers_.end()) return false;
  uint16_t slot = at->slot;
  leavers_.erase(at);
  log_debug("process without a slot ended slot={} pid={} {}", slot, exit.pid, exit.text());
  announce_if_empty(slot);
  return true;
}

void Slots::look(uint64_t now_ms) {
  for (uint16_t i = 0; i < size(); ++i)
    if (committed(i)) promote(i);
  for (const Leaver& leaver : leavers_) {
    if (now_ms < leaver.kill_at_ms) continue;
    log_warn("process without a slot does not end slot={} pid={}; killing it", leaver.slot,
             leaver.process->pid());
    leaver.process->kill(SIGKILL);
  }
}

}  // namespace holdfast::master
