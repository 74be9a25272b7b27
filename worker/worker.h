// worker/worker.h - what a worker is given at birth, and its main function: all that master/ knows of this room.
//
// The master forks; the child calls worker_main() with a Heritage and never returns to the master's code.
//
// Control channel: one stream socket pair per worker, one byte per word.
//   master -> worker   kDrain   a reload: stop accepting, close sessions with 1012 evenly over drain_timeout, exit 0
//                      kQuit    graceful stop: stop accepting, close sessions with 1001 evenly over stop_timeout, exit 0
//                      kTerm    stop now: 1001 to everybody, wait at most stop_timeout for output and close events, exit 0
//                      kReopen  reopen the log
//   worker -> master   kReady   it accepts connections and serves its slot
// End of file at the worker: the master died; accept what still waits in the queues, close the listeners, drain as
// for kDrain. Exit status 0: asked to go; anything else is a crash.
#pragma once

#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "conf/config.h"
#include "shm/segment.h"

namespace holdfast {

namespace control_word {
inline constexpr char kDrain = 'd', kQuit = 'q', kTerm = 't', kReopen = 'r', kReady = 'R';
}

// A listening socket a worker accepts from. The worker does not own it (the master keeps every one
// open until a stop begins); it closes its copy when it stops accepting.
struct InheritedListener {
  int fd;
  size_t index;  // in Config::listens, or in Config::apis where is_api
  bool is_api;
};

struct Heritage {
  const conf::Config* config;  // apis include the built-in one for holdfastctl
  shm::Segment* segment;
  uint16_t slot;
  unsigned worker_count;  // of this generation: shares of pools and queues
  uint32_t generation;
  std::vector<InheritedListener> listeners;
  std::vector<int> doorbell_write;  // by slot, max_workers of them
  int doorbell_read;                // this slot's
  int control;                      // this worker's end
};

// Runs until told to go. Signals: the worker ignores INT, HUP, USR1, USR2 and PIPE, and treats TERM as kTerm and QUIT as kQuit (a
// terminal's or an operator's direct signal). Returns the exit status.
int worker_main(const Heritage& heritage);

}  // namespace holdfast
