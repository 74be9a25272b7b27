#include "ctl/ending.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/clock.h"

namespace holdfast::ctl {

Ending::Ending() {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  signals_ = UniqueFd(signalfd(-1, &ending, SFD_CLOEXEC));
  if (signals_) sigprocmask(SIG_BLOCK, &ending, nullptr);
}

Ending::Woke Ending::wait(int fd, uint64_t ms) const {
  uint64_t end_ms = monotonic_ms() + ms;
  for (;;) {
    uint64_t now = monotonic_ms();
    uint64_t left = now < end_ms ? end_ms - now : 0;
    pollfd two[] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                    {.fd = fd, .events = POLLIN, .revents = 0}};  // poll() passes over -1
    int ready = poll(two, 2, int(std::min<uint64_t>(left, INT_MAX)));
    if (ready == -1 && errno != EINTR) return Woke::ended;
    if (ready > 0) return two[0].revents != 0 ? Woke::ended : Woke::ready;
    if (ready == 0 && left == 0) return Woke::timeout;
  }
}

}  // namespace holdfast::ctl
