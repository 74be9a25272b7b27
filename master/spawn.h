// master/spawn.h - forks a worker and prepares the child until worker_main() takes over.
//
// In the child, in this order: the master's loop is forgotten, every descriptor that is the
// master's alone is closed, signals are set for a worker, title and log are its own, rights are
// dropped, worker_main() runs, the process ends. It never returns to the master's code. A child
// that cannot prepare itself logs why and exits with status 1, which the master sees as a crash
// before ready.
#pragma once

#include <sys/types.h>

#include "base/event.h"
#include "base/fd.h"
#include "base/result.h"
#include "master/doorbells.h"
#include "master/generation.h"
#include "master/listen_sockets.h"
#include "master/title.h"
#include "shm/segment.h"
#include "worker/worker.h"

namespace holdfast::master {

// An owner of master-only descriptors, which closes them in a child when called.
class MasterOnly {
 public:
  virtual void close_in_child() = 0;

 protected:
  ~MasterOnly() = default;
};

struct SpawnOrder {
  uint16_t slot;
  unsigned ordinal;  // which lanes: ListenSockets::share_of()
  const Generation* generation;
  bool accepts;          // false: it serves the sessions there are, and gets no listeners
  bool standby = false;  // it waits to take the slot over from a living process
};

struct Spawned {
  pid_t pid;
  UniqueFd control;  // the master's end
};

using WorkerMain = int (*)(const Heritage&);

class Spawner {
 public:
  Spawner(Loop& loop, shm::Segment& segment, ListenSockets& sockets, Doorbells& doorbells,
          ProcessTitle& title, WorkerMain worker_main)
      : loop_(loop),
        segment_(segment),
        sockets_(sockets),
        doorbells_(doorbells),
        title_(title),
        worker_main_(worker_main) {}
  void add_master_only(MasterOnly& owner) { master_only_.push_back(&owner); }

  // In the master: the child's pid and our end of its control channel, or why there is no child.
  Result<Spawned> spawn(const SpawnOrder& order);

 private:
  [[noreturn]] void run_child(const SpawnOrder& order, UniqueFd control) noexcept;
  void let_go(const SpawnOrder& order, const std::vector<InheritedListener>& listeners);
  // `resolver`: the worker's end of the socket to its resolver, if a back end has a name.
  Result<void> become_worker(const SpawnOrder& order, UniqueFd* resolver);

  Loop& loop_;
  shm::Segment& segment_;
  ListenSockets& sockets_;
  Doorbells& doorbells_;
  ProcessTitle& title_;
  WorkerMain worker_main_;
  std::vector<MasterOnly*> master_only_;
};

}  // namespace holdfast::master
