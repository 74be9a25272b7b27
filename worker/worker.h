// worker/worker.h - the main function of a worker: with net/heritage.h and life/words.h all that master/ knows of this room.
//
// The master forks; the child calls worker_main() with a Heritage and never returns to the master's code.
//
// life/words.h has what master and worker say to each other.
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
