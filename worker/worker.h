// worker/worker.h - what a worker is given at birth, and its main function: all that master/ knows of this room.
//
// The master forks; the child calls worker_main() with a Heritage and never returns to the master's code.
//
// Control channel: one stream socket pair per worker, one byte per word.
//   master -> worker   kDrain   a reload: stop accepting, close sessions with 1012 evenly over drain_timeout, exit 0
//                      kQuit    graceful stop: stop accepting, close sessions with 1001 evenly over stop_timeout, exit 0
//                      kTerm    stop now: 1001 to everybody, wait at most stop_timeout for output and close events, exit 0
//                      kReopen  reopen the log
//                      kHandOver  give the slot to the successor at the other end of the socket that comes with it
//                      kTakeOver  to a standby: take the slot from the predecessor at the other end, likewise
//   worker -> master   kReady   it accepts connections and serves its slot; a standby: it could take it over
//                      kTaken   a standby: it serves the slot now
//                      kKept    the slot was not handed over; it is served as before, the log says why
// kHandOver and kTakeOver carry one descriptor (SCM_RIGHTS): an end of a stream socket pair, the channel of
// handover/channel.h. Two binaries may talk here (an upgrade), so no word ever changes its meaning.
// End of file at the worker: the master died; accept what still waits in the queues, close the listeners, drain as
// for kDrain; a standby just ends. Exit status 0: asked to go, or the slot was handed over; anything else is a crash.
//
// Who serves a slot is whom SlotHead::pid names: its process stores its successor's pid there as the last thing it does.
#pragma once

#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "conf/config.h"
#include "shm/segment.h"

namespace holdfast {

namespace control_word {
inline constexpr char kDrain = 'd', kQuit = 'q', kTerm = 't', kReopen = 'r', kHandOver = 'h',
                      kTakeOver = 'n', kReady = 'R', kTaken = 'T', kKept = 'K';
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
  // It takes the slot over from a living process (kTakeOver), and writes nothing into the segment before it has it.
  bool standby = false;
  // False: it only serves and finishes what is there already, and ends with its last session and connection.
  bool accepts = true;
  // This worker's end of the socket to its resolver (worker/backends/resolver.h); -1: no back end has a name.
  int resolver = -1;
};

// Runs until told to go. Signals: the worker ignores INT, HUP, USR1, USR2 and PIPE, and treats TERM as kTerm and QUIT as kQuit (a
// terminal's or an operator's direct signal). Returns the exit status.
int worker_main(const Heritage& heritage);

}  // namespace holdfast
