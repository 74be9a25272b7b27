// worker/worker.h - the things that a worker is given at birth, and its main function: all that master/ knows of this room.
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
//                      kKept    the slot was not handed over; it is served as before, the log has the reason
// kHandOver and kTakeOver carry one descriptor (SCM_RIGHTS): an end of a stream socket pair, the channel of
// handover/channel.h. Two binaries may talk here (an upgrade), so no word ever changes its meaning.
// End of file at the worker: the master died; accept the connections in the queues, close the listeners, drain as
// for kDrain; a standby just ends. Exit status 0: asked to go, or the slot was handed over; anything else is a crash.
//
// SlotHead::pid names the process that serves a slot: to hand over, that process stores its successor's pid there as its last act.
#pragma once

#include "worker/life/words.h"
#include "worker/net/heritage.h"

namespace holdfast {

// Runs until told to go. Signals: the worker ignores INT, HUP, USR1, USR2 and PIPE, and treats TERM as kTerm and QUIT as kQuit (a
// terminal's or an operator's direct signal). Returns the exit status.
int worker_main(const Heritage& heritage);

}  // namespace holdfast
