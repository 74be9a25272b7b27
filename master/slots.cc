#include "master/slots.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

namespace holdfast::master {
namespace {

constexpr unsigned kTickMs = 20;  // how exactly back-offs are kept

}  // namespace

Slots::Slots(Loop& loop, shm::Segment& segment, Spawner& spawner, SlotObserver& observer)
    : loop_(loop),
      segment_(segment),
      spawner_(spawner),
      observer_(observer),
      slots_(segment.capacities().max_workers) {
  spawner_.add_master_only(*this);
}

Result<void> Slots::start(uint16_t i, const Generation& generation, unsigned ordinal) {
  Slot& slot = slots_[i];
  HF_CHECK(slot.phase == Phase::empty);
  slot.purpose = Purpose::serve;
  slot.generation = &generation;
  slot.ordinal = ordinal;
  slot.backoff = {};
  slot.early_deaths = 0;
  slot.served = false;
  auto spawned = spawn(i);
  if (!spawned) vacate(i);
  return spawned;
}

// Everything in the slot's head that a successor may rely on is written before the fork: the
// heartbeat is fresh, so the watch gives the new process its full time.
Result<void> Slots::spawn(uint16_t i) {
  Slot& slot = slots_[i];
  shm::SlotHead& head = segment_.slot(i);
  if (!segment_.prepare_slot(i))
    return Error{Errc::limit, ENOSPC, "shared memory is full: no room for the worker's mailboxes"};
  slot.started_ms = monotonic_ms();
  slot.aborted_ms = 0;
  slot.asked = false;
  slot.accepts = slot.purpose == Purpose::serve;
  head.pid.store(0, std::memory_order_relaxed);
  head.generation.store(slot.generation->number, std::memory_order_relaxed);
  head.heartbeat_ms.store(slot.started_ms, std::memory_order_relaxed);
  head.started_wall_ms.store(wall_ms(), std::memory_order_relaxed);
  head.sleeping.store(0, std::memory_order_relaxed);
  head.state.store(shm::SlotState::starting, std::memory_order_release);
  auto spawned = spawner_.spawn({i, slot.ordinal, slot.generation, slot.accepts, false});
  if (!spawned) {
    head.state.store(shm::SlotState::dead, std::memory_order_release);
    return std::move(spawned.error());
  }
  head.pid.store(uint32_t(spawned->pid), std::memory_order_release);
  slot.process =
      std::make_unique<WorkerProcess>(loop_, i, spawned->pid, std::move(spawned->control), *this);
  slot.phase = Phase::starting;
  log_info("worker started slot={} pid={} generation={}{}", i, spawned->pid,
           slot.generation->number,
           slot.accepts ? "" : "; it only finishes what its predecessor left");
  return {};
}

void Slots::on_worker_ready(WorkerProcess& process) {
  uint16_t i = process.slot();
  Slot& slot = slots_[i];
  if (slot.successor && slot.successor->process.get() == &process) {
    slot.successor->ready = true;
    return observer_.on_succession(i, Succession::ready);
  }
  if (slot.process.get() != &process || slot.phase != Phase::starting) return;
  slot.early_deaths = 0;
  slot.served = true;
  slot.phase = slot.accepts ? Phase::serving : Phase::finishing;
  if (slot.purpose == Purpose::finish) drain(i);
  observer_.on_slot_ready(i);
}

void Slots::drain(uint16_t i) {
  Slot& slot = slots_[i];
  if (slot.purpose == Purpose::leave) return;
  slot.purpose = Purpose::finish;
  // starting: once it is ready. waiting: its next process accepts nothing. finishing: it does so.
  if (slot.phase != Phase::serving) return;
  slot.phase = Phase::draining;
  slot.process->tell(control_word::kDrain);
}

void Slots::abandon(uint16_t i) {
  Slot& slot = slots_[i];
  if (slot.phase == Phase::empty) return;
  if (slot.served) return drain(i);
  if (slot.phase == Phase::waiting) return vacate(i);
  slot.purpose = Purpose::leave;
  slot.process->kill(SIGKILL);
}

void Slots::stop(char word) {
  for (uint16_t i = 0; i < size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.phase == Phase::waiting) vacate(i);
    if (slot.phase == Phase::empty) continue;
    slot.purpose = Purpose::leave;
    slot.process->tell(word);
    if (slot.successor) slot.successor->process->tell(word);
  }
}

void Slots::tell_all(char word) {
  for (Slot& slot : slots_) {
    if (slot.process) slot.process->tell(word);
    if (slot.successor) slot.successor->process->tell(word);
  }
}

unsigned Slots::kill_all() {
  unsigned killed = 0;
  for (Slot& slot : slots_) {
    if (!slot.process) continue;
    slot.purpose = Purpose::leave;
    slot.process->kill(SIGKILL);
    if (slot.successor) slot.successor->process->kill(SIGKILL);
    killed += slot.successor ? 2 : 1;
  }
  for (const Leaver& leaver : leavers_) leaver.process->kill(SIGKILL);
  return killed + unsigned(leavers_.size());
}

void Slots::reap() {
  while (auto exit = reap_one()) on_exit(*exit);
}

void Slots::on_exit(const Exit& exit) {
  if (on_leaver_exit(exit)) return;
  for (uint16_t i = 0; i < size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.process && slot.process->pid() == exit.pid) return on_process_exit(i, exit);
    if (slot.successor && slot.successor->process->pid() == exit.pid)
      return on_successor_exit(i, exit);
  }
  observer_.on_other_exit(exit);
}

// The word in the segment says what its end means. // slots.h, commit
void Slots::on_process_exit(uint16_t i, const Exit& exit) {
  if (committed(i)) {
    promote(i);
    on_leaver_exit(exit);
    return;
  }
  Slot& slot = slots_[i];
  bool was_ready = slot.phase != Phase::starting;
  // To one that has died meanwhile: it has left everything as a crash does, whatever its status.
  bool gave_away = segment_.slot(i).pid.load(std::memory_order_acquire) != uint32_t(exit.pid);
  bool clean = exit.clean() && !gave_away;
  bool expected = slot.purpose == Purpose::leave || (slot.purpose == Purpose::finish && clean);
  slot.process.reset();
  slot.asked = false;
  clear_away(i, expected, clean);
  if (!expected) return on_crash(i, exit, was_ready);
  log(exit.clean() ? LogLevel::info : LogLevel::warn, "worker left slot={} pid={} {}", i, exit.pid,
      exit.text());
  vacate(i);
  announce_if_empty(i);
}

// Dead first: from here on readers know that the rest of the head is the master's.
void Slots::clear_away(uint16_t i, bool expected, bool clean) {
  shm::SlotHead& head = segment_.slot(i);
  head.state.store(expected ? shm::SlotState::free : shm::SlotState::dead,
                   std::memory_order_release);
  head.pid.store(0, std::memory_order_relaxed);
  shm::clear_gauges(segment_.stats(i));
  head.hears_all.store(0, std::memory_order_relaxed);
  // A clean leaver has lowered its own counts; sweeping the column reads all of the filter that
  // anybody has used.
  if (clean) return;
  segment_.filter().clear_column(i);
  if (!expected)
    head.restarts.store(head.restarts.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

void Slots::on_crash(uint16_t i, const Exit& exit, bool was_ready) {
  Slot& slot = slots_[i];
  if (!was_ready) ++slot.early_deaths;
  uint64_t now_ms = monotonic_ms();
  uint64_t lived_ms = now_ms - slot.started_ms;
  uint64_t wait_ms = slot.backoff.died(now_ms);
  slot.phase = Phase::waiting;
  slot.respawn_at_ms = now_ms + wait_ms;
  log_error("worker died slot={} pid={} {} lived_ms={}{}; respawning in {} ms", i, exit.pid,
            exit.text(), lived_ms, was_ready ? "" : " before it was ready", wait_ms);
  observer_.on_slot_crashed(i);
  if (slot.phase != Phase::waiting) return;  // the observer has given the slot up
  if (wait_ms == 0)
    respawn(i);
  else
    respawn_later(i, wait_ms);
}

void Slots::vacate(uint16_t i) {
  Slot& slot = slots_[i];
  dismiss(i);
  slot.phase = Phase::empty;
  slot.generation = nullptr;
  slot.accepts = false;
  segment_.slot(i).state.store(shm::SlotState::free, std::memory_order_release);
  give_shards_away(i);
}

// Nobody serves it any more: the streams get another home, and those that are left share them out among themselves.
void Slots::give_shards_away(uint16_t from) {
  auto heir = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.phase == Phase::serving && slot.accepts;
  });
  if (heir == slots_.end())
    heir = std::find_if(slots_.begin(), slots_.end(),
                        [](const Slot& slot) { return slot.phase != Phase::empty; });
  if (heir == slots_.end()) return;
  shm::StreamSpace streams = segment_.streams();
  for (uint32_t shard = 0; shard < streams.shards(); ++shard)
    if (streams.home_of(shard) == from) streams.give(shard, uint16_t(heir - slots_.begin()));
}

void Slots::respawn(uint16_t i) {
  auto spawned = spawn(i);
  if (spawned) return;
  uint64_t wait_ms = std::max(slots_[i].backoff.died(monotonic_ms()), Backoff::kFirstWaitMs);
  log_error("worker not respawned slot={} error=\"{}\"; trying again in {} ms", i,
            spawned.error().text(), wait_ms);
  respawn_later(i, wait_ms);
}

void Slots::respawn_later(uint16_t i, uint64_t wait_ms) {
  slots_[i].respawn_at_ms = monotonic_ms() + wait_ms;
  if (ticking_) return;
  ticking_ = true;  // never within on_tick(), which leaves it true until it returns
  ticker_.emplace(loop_, kTickMs, *this, Call<&Slots::on_tick>{});
}

void Slots::on_tick() {
  uint64_t now_ms = monotonic_ms();
  bool more = false;
  for (uint16_t i = 0; i < size(); ++i) {
    if (slots_[i].phase == Phase::waiting && slots_[i].respawn_at_ms <= now_ms) respawn(i);
    more = more || slots_[i].phase == Phase::waiting;
  }
  if (more) return;
  ticker_->stop();
  ticking_ = false;
}

bool Slots::is_empty(uint16_t i) const {
  return slots_[i].phase == Phase::empty &&
         std::none_of(leavers_.begin(), leavers_.end(),
                      [i](const Leaver& leaver) { return leaver.slot == i; });
}

void Slots::announce_if_empty(uint16_t i) {
  if (is_empty(i)) observer_.on_slot_empty(i);
}

std::vector<uint16_t> Slots::empty_slots() const {
  std::vector<uint16_t> list;
  for (uint16_t i = 0; i < size(); ++i)
    if (is_empty(i)) list.push_back(i);
  return list;
}

bool Slots::runs(const Generation& generation) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) {
    return s.generation == &generation ||
           (s.successor && s.successor->terms.generation == &generation);
  });
}

// A worker stores `draining` after it has closed its listeners.
bool Slots::others_accept(const Generation& generation) const {
  for (uint16_t i = 0; i < size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.process || !slot.accepts || slot.generation == &generation) continue;
    if (segment_.slot(i).state.load(std::memory_order_acquire) != shm::SlotState::draining)
      return true;
  }
  return false;
}

void Slots::close_in_child() {
  for (Slot& slot : slots_) {
    if (slot.process) slot.process->close_in_child();
    if (slot.successor) slot.successor->process->close_in_child();
  }
  for (Leaver& leaver : leavers_) leaver.process->close_in_child();
}

}  // namespace holdfast::master
