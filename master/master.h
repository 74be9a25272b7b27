// master/master.h - the parent of the workers. It binds, forks, watches and reloads; it touches no
// client byte.
//
// Map of the room: main -> master_main() -> Instance (runtime_dir, pidfile, segment), Doorbells,
// ListenSockets, then Master, which joins Slots (spawn, worker_process, reap, backoff), Rollout,
// Reload, Upgrade, HeartbeatWatch, Signals and ControlSocket around one Loop.
//
//   state      event                     -> state      action
//   starting   every worker ready        -> serving    READY=1
//   starting   one died 5 times early    -> stopping   exit status 1
//   starting   reload asked              -> starting   carried out once it serves
//   serving    reload                    -> serving    reload.h
//   serving    upgrade                   -> serving    upgrade.h: the same process, another image
//   (adopted)  takeover_main             -> serving    takeover.h
//   any        TERM, INT, stop           -> stopping   close sockets, kTerm; SIGKILL stop_timeout
//                                                      + 2 s later
//   any        QUIT, quit                -> stopping   close sockets, kQuit; SIGKILL 2 x
//                                                      stop_timeout + 2 s later
//   stopping   TERM after QUIT           -> stopping   kTerm, shorter deadline
//   stopping   last worker gone          -> end
//
// A stop, for newcomers: the master closes its listening sockets, then sends the word to the workers,
// which accept the connections in their queues and close theirs. So nobody waits for an answer that
// will not come: queued clients are served or get an answer, later ones are refused by the kernel.
//
// After a crash of the master: see segment.h, pidfile.h and listen_sockets.h; workers see end of
// file on their control channel and drain, and a new master starts beside them.
#pragma once

#include "conf/config.h"
#include "master/spawn.h"
#include "master/takeover.h"
#include "master/title.h"

namespace holdfast::master {

// Runs the instance until it is told to stop. Returns the exit status: 0 after a clean stop; 1 if
// it could not start, gave up, or had to kill workers at the end.
int master_main(conf::Config config, ProcessTitle& title, WorkerMain worker_main);
// Goes on with a running instance, as its next image (takeover.h). Exit status as above.
int takeover_main(const TakeoverOrder& order, ProcessTitle& title, WorkerMain worker_main);

}  // namespace holdfast::master
