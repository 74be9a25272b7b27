// master/signals.h - which signal asks for what. Handled in the loop, never in the handler.
//
//   HUP reload   USR1 reopen logs   USR2 upgrade   TERM, INT stop   QUIT graceful stop   CHLD reap
//   PIPE ignored
#pragma once

#include "base/event.h"
#include "master/commands.h"
#include "master/slots.h"

namespace holdfast::master {

class Signals {
 public:
  Signals(Loop& loop, Commands& commands, Slots& slots);

 private:
  void on_signal(int number);

  Commands& commands_;
  Slots& slots_;
  SignalEvent hup_, usr1_, usr2_, term_, int_, quit_, chld_;
};

}  // namespace holdfast::master
