// worker/life/words.h - what master and worker say to each other.
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
// handover/parcels.h. Two binaries may talk here (an upgrade), so no word ever changes its meaning.
// End of file at the worker: the master died; accept what still waits in the queues, close the listeners, drain as
// for kDrain; a standby just ends. Exit status 0: asked to go, or the slot was handed over; anything else is a crash.
#pragma once

namespace holdfast {

namespace control_word {
inline constexpr char kDrain = 'd', kQuit = 'q', kTerm = 't', kReopen = 'r', kHandOver = 'h',
                      kTakeOver = 'n', kReady = 'R', kTaken = 'T', kKept = 'K';
}

}  // namespace holdfast
