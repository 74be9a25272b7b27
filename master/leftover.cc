#include "master/leftover.h"

#include <poll.h>
#include <signal.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "master/watch.h"

namespace holdfast::master {
namespace {

constexpr int kLookMs = 5;
constexpr uint64_t kDeathMs = 5'000;  // a process in the middle of a core dump takes its time

// Whether a process has the instance's segment mapped, also one without a name.  // I2
enum class Mapping : uint8_t { none, mapped, hidden };

Mapping mapping_of(pid_t pid, const std::string& instance) {
  if (pid <= 0) return Mapping::none;
  errno = 0;
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  if (!maps) return errno == ENOENT || errno == ESRCH ? Mapping::none : Mapping::hidden;
  std::string line, name = "/holdfast." + instance;
  while (std::getline(maps, line)) {
    if (line.ends_with(" (deleted)")) line.resize(line.size() - 10);
    if (line.ends_with(name)) return Mapping::mapped;
  }
  return Mapping::none;
}

enum class Rest : uint8_t { dead, drains, stands };

Rest rest_of(const shm::Segment& former, uint32_t slot, uint64_t hang_timeout_ms) {
  const shm::SlotHead& head = former.slot(slot);
  auto pid = pid_t(head.pid.load(std::memory_order_relaxed));
  std::string instance = former.header().instance;
  while (mapping_of(pid, instance) != Mapping::none) {
    if (head.state.load(std::memory_order_acquire) == shm::SlotState::draining) return Rest::drains;
    uint64_t beat_ms = head.heartbeat_ms.load(std::memory_order_relaxed);
    if (judge_heartbeat(monotonic_ms(), beat_ms, hang_timeout_ms, 0) != Verdict::fine)
      return Rest::stands;
    poll(nullptr, 0, kLookMs);
  }
  return Rest::dead;
}

// Whether it is dead afterwards.
bool end_process(pid_t pid, const std::string& instance) {
  if (mapping_of(pid, instance) != Mapping::mapped) {
    log_error(
        "process may be a worker of the killed master that hangs, and may not be looked at pid={}; "
        "end it yourself, or its share of the connections hangs too",
        pid);
    return false;
  }
  log_error("worker of a killed master hangs pid={}; killing it", pid);
  kill(pid, SIGKILL);
  for (uint64_t end = monotonic_ms() + kDeathMs; monotonic_ms() < end; poll(nullptr, 0, kLookMs))
    if (mapping_of(pid, instance) == Mapping::none) return true;
  log_error("worker of a killed master outlived SIGKILL pid={}; close events it owes are lost",
            pid);
  return false;
}

void gather(const shm::Segment& former, uint32_t slot, std::vector<shm::SessionView>* owed) {
  shm::SessionDirectory directory = former.directory();
  uint32_t first = slot * directory.per_slab();
  for (uint32_t i = first; i < first + directory.used(slot); ++i)
    if (auto view = directory.view(i);
        view && view->id.index() == i && (view->control.flags & shm::kOwesClose) != 0)
      owed->push_back(*std::move(view));
}

}  // namespace

Leftover settle_leftover(const conf::Config& config) {
  auto former = shm::Segment::attach(config.server.instance);
  if (!former) return {former.error().code != Errc::gone, 0, {}};
  Leftover leftover{true, former->capacities().max_sessions, {}};
  if (former->master_alive()) return leftover;  // I1
  for (uint32_t slot = 0; slot < former->capacities().max_workers; ++slot) {
    Rest rest = rest_of(*former, slot, config.server.hang_timeout_ms);
    auto pid = pid_t(former->slot(slot).pid.load(std::memory_order_relaxed));
    if (rest == Rest::stands && end_process(pid, config.server.instance)) rest = Rest::dead;
    if (rest == Rest::dead) gather(*former, slot, &leftover.owed);
  }
  return leftover;
}

size_t hand_down(const Leftover& leftover, const conf::Config& config, shm::Segment& fresh) {
  shm::SessionDirectory directory = fresh.directory();
  size_t lost = 0;
  for (shm::SessionView view : leftover.owed) {
    view.control.state = shm::SessionState::closing;
    // So that the counters of this instance have its connect event too.
    view.control.flags |= shm::kConnectUnanswered;
    uint32_t slot = view.id.index() / leftover.per_slab;
    bool has_place = leftover.per_slab == directory.per_slab() && slot < config.server.workers;
    if (has_place) has_place = directory.plant(view, fresh.stats(slot).slab_high_water);
    lost += !has_place;
  }
  return lost;
}

}  // namespace holdfast::master
