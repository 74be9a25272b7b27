#include "master/spawn.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/log.h"
#include "master/resolver_process.h"
#include "master/sandbox.h"

namespace holdfast::master {
namespace {

// No signal may run the master's handlers in the child: they write to a socket pair that both
// share, and the master would act on what was meant for the child.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsHeld() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

void signals_of_a_worker() {
  for (int ignored : {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) signal(ignored, SIG_IGN);
  for (int standard : {SIGTERM, SIGQUIT, SIGCHLD}) signal(standard, SIG_DFL);
  for (int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) signal(crash, SIG_DFL);  // WayBack
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool resumes(const conf::Config& config) {
  return std::any_of(config.listens.begin(), config.listens.end(),
                     [](const conf::Listen& listen) { return listen.resume_ms != 0; });
}

}  // namespace

Result<Spawned> Spawner::spawn(const SpawnOrder& order) {
  if (resumes(order.generation->config))
    if (Result<void> made = doorbells_.open_passages(); !made)
      log_warn("clients that come back at another worker will be refused error=\"{}\"",
               made.error().text());
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{Errc::io, errno, "control channel for a worker"};
  UniqueFd ours(ends[0]), theirs(ends[1]);
  std::fflush(nullptr);  // or the child would write our buffered output once more
  SignalsHeld held;
  pid_t pid = fork();
  if (pid == -1) return Error{Errc::io, errno, "fork a worker"};
  if (pid == 0) {
    ours.reset();
    run_child(order, std::move(theirs));
  }
  return Spawned{pid, std::move(ours)};
}

// noexcept: a stray exception ends the child here and cannot unwind into the master's frames below.
void Spawner::run_child(const SpawnOrder& order, UniqueFd control) noexcept {
  std::vector<InheritedListener> listeners;
  if (order.accepts) listeners = sockets_.share_of(order.generation->config, order.ordinal);
  let_go(order, listeners);
  signals_of_a_worker();
  UniqueFd resolver;
  auto ready = become_worker(order, &resolver);
  if (!ready) {
    log_error("worker not started slot={} error=\"{}\"", order.slot, ready.error().text());
    _exit(1);
  }
  Heritage heritage{&order.generation->config,
                    &segment_,
                    order.slot,
                    order.generation->workers(),
                    order.generation->number,
                    std::move(listeners),
                    doorbells_.write_ends(),
                    doorbells_.read_end(order.slot),
                    control.get(),
                    order.standby,
                    order.accepts,
                    resolver.get(),
                    doorbells_.passages(),
                    doorbells_.passage(order.slot)};
  int status = worker_main_(heritage);
  std::fflush(nullptr);
  // Not exit(): the master's objects are copies here, and their destructors would remove its files.
  _exit(status);
}

void Spawner::let_go(const SpawnOrder& order, const std::vector<InheritedListener>& listeners) {
  loop_.abandon_after_fork();
  for (MasterOnly* owner : master_only_) owner->close_in_child();
  sockets_.close_in_child(listeners);
  doorbells_.close_others(order.slot);
  segment_.disown();
}

Result<void> Spawner::become_worker(const SpawnOrder& order, UniqueFd* resolver) {
  const conf::Config& config = order.generation->config;
  title_.set(fmt::format("holdfastd: worker {} [{}]", order.slot, config.server.instance),
             fmt::format("holdfastd/w{}", order.slot));
  // Before the rights go: the log may lie where only root opens files. On failure the master's
  // stays.
  auto log = open_log(config.log, fmt::format("worker {}", order.slot));
  if (!log) log_warn("log not opened error=\"{}\"; writing to the master's", log.error().text());
  if (auto taken = take_rights(order.generation->rights, config.server.core_dumps); !taken)
    return taken;
  if (has_names(config)) {
    auto started = start_resolver();
    if (!started) return std::move(started.error());
    *resolver = *std::move(started);
  }
  return enter_sandbox(config.server.seccomp);
}

}  // namespace holdfast::master
