#include "bench/load/client_group.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "bench/load/client_process.h"

namespace holdfast::bench {
namespace {

constexpr uint64_t kQuietNs = 3'000'000'000;  // without an arrival: nothing will come any more

void look_again_soon() {
  timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
  nanosleep(&pause, nullptr);
}

[[noreturn]] void run_child(const Options& options, const Arena& arena, uint32_t index,
                            pid_t driver) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != driver) _exit(kFailure);  // it died before the line above
  ClientProcess process(options, arena, index);
  Result<void> done = process.run();
  if (!done) fmt::print(stderr, "holdfast-bench: {}\n", done.error().text());
  _exit(done ? kOk : kFailure);
}

}  // namespace

Result<ClientGroup> ClientGroup::start(const Options& options, const Arena& arena) {
  ClientGroup group(arena, options.processes);
  pid_t driver = getpid();
  for (uint32_t index = 0; index < options.processes; ++index) {
    pid_t pid = fork();
    if (pid == -1) return Error{Errc::io, errno, "fork"};
    if (pid == 0) run_child(options, arena, index, driver);
    group.pids_.push_back(pid);
  }
  return group;
}

ClientGroup::~ClientGroup() {
  for (pid_t pid : pids_) kill(pid, SIGKILL);
  for (pid_t pid : pids_) waitpid(pid, nullptr, 0);
}

Result<void> ClientGroup::look_for_dead() {
  for (size_t i = 0; i < pids_.size(); ++i) {
    int status = 0;
    if (waitpid(pids_[i], &status, WNOHANG) != pids_[i]) continue;
    pid_t pid = pids_[i];
    pids_.erase(pids_.begin() + ptrdiff_t(i));
    if (WIFEXITED(status) && WEXITSTATUS(status) == kOk) return look_for_dead();
    return Error{Errc::gone, 0, fmt::format("client process {} died", pid)};
  }
  return {};
}

bool ClientGroup::all_reached(Phase phase) const {
  for (uint32_t i = 0; i < process_count_; ++i)
    if (arena_->process(i).reached.load(std::memory_order_acquire) < uint32_t(phase)) return false;
  return true;
}

Result<void> ClientGroup::wait_reached(Phase phase, uint64_t limit_ns) {
  uint64_t limit = monotonic_ns() + limit_ns;
  while (!all_reached(phase)) {
    if (Result<void> dead = look_for_dead(); !dead) return dead;
    if (monotonic_ns() > limit)
      return Error{Errc::limit, 0, "the client processes are not done in time"};
    look_again_soon();
  }
  return {};
}

void ClientGroup::wait_received(uint64_t expected) {
  uint64_t seen = totals().received;
  uint64_t changed = monotonic_ns();
  while (seen < expected && monotonic_ns() < changed + kQuietNs) {
    look_again_soon();
    uint64_t now = totals().received;
    if (now != seen) changed = monotonic_ns();
    seen = now;
  }
}

Totals ClientGroup::totals() const {
  Totals sum;
  for (uint32_t i = 0; i < process_count_; ++i) {
    const ProcessBlock& block = arena_->process(i);
    sum.connected += block.connected.get();
    sum.connect_failed += block.connect_failed.get();
    sum.refused += block.refused.get();
    sum.timed_out += block.timed_out.get();
    sum.refusal_status = std::max(sum.refusal_status, block.refusal_status.get());
    sum.closed_early += block.closed_early.get();
    sum.broken += block.broken.get();
    sum.sent += block.sent.get();
    sum.received += block.received.get();
    sum.received_bytes += block.received_bytes.get();
    sum.missing += block.missing.get();
    sum.duplicates += block.duplicates.get();
    sum.reordered += block.reordered.get();
    sum.misdirected += block.misdirected.get();
    sum.malformed += block.malformed.get();
    sum.resumed += block.resumed.get();
    sum.last_arrival_ns = std::max(sum.last_arrival_ns, block.last_arrival_ns.get());
  }
  return sum;
}

void ClientGroup::merge_histograms(Measured& measured) const {
  for (uint32_t i = 0; i < process_count_; ++i) {
    measured.latency.merge(arena_->process(i).latency);
    measured.handshake.merge(arena_->process(i).handshake);
  }
}

}  // namespace holdfast::bench
