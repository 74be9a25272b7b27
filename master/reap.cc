#include "master/reap.h"

#include <sys/wait.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace holdfast::master {

bool Exit::clean() const {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string Exit::text() const {
  if (WIFEXITED(status)) return fmt::format("status={}", WEXITSTATUS(status));
  int number = WTERMSIG(status);
  return fmt::format("signal={} ({}) core={}", number, strsignal(number),
                     WCOREDUMP(status) ? "yes" : "no");
}

std::optional<Exit> reap_one() {
  int status = 0;
  pid_t pid;
  do {
    pid = waitpid(-1, &status, WNOHANG);
  } while (pid == -1 && errno == EINTR);
  // 0: children live, none is dead. -1 with ECHILD: no children at all.
  if (pid <= 0) return std::nullopt;
  return Exit{pid, status};
}

}  // namespace holdfast::master
