#include "master/signals.h"

#include <signal.h>

namespace holdfast::master {

Signals::Signals(Loop& loop, Commands& commands, Slots& slots)
    : commands_(commands),
      slots_(slots),
      hup_(loop, SIGHUP, *this, Call<&Signals::on_signal>{}),
      usr1_(loop, SIGUSR1, *this, Call<&Signals::on_signal>{}),
      usr2_(loop, SIGUSR2, *this, Call<&Signals::on_signal>{}),
      term_(loop, SIGTERM, *this, Call<&Signals::on_signal>{}),
      int_(loop, SIGINT, *this, Call<&Signals::on_signal>{}),
      quit_(loop, SIGQUIT, *this, Call<&Signals::on_signal>{}),
      chld_(loop, SIGCHLD, *this, Call<&Signals::on_signal>{}) {
  signal(SIGPIPE, SIG_IGN);
}

void Signals::on_signal(int number) {
  switch (number) {
    case SIGHUP:
      return commands_.reload(std::nullopt);
    case SIGUSR1:
      commands_.reopen_logs();
      return;
    case SIGUSR2:
      return commands_.upgrade(std::nullopt);
    case SIGTERM:
    case SIGINT:
      return commands_.stop_fast();
    case SIGQUIT:
      return commands_.stop_gracefully();
    case SIGCHLD:
      return slots_.reap();
    default:
      return;
  }
}

}  // namespace holdfast::master
