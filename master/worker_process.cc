#include "master/worker_process.h"

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "worker/worker.h"

namespace holdfast::master {

WorkerProcess::WorkerProcess(Loop& loop, uint16_t slot, pid_t pid, UniqueFd control,
                             WorkerListener& listener)
    : slot_(slot),
      pid_(pid),
      listener_(listener),
      control_(std::move(control)),
      readable_(loop, control_.get(), *this, Call<&WorkerProcess::on_readable>{}) {
  readable_.watch(kRead);
}

void WorkerProcess::tell(char word) {
  ssize_t sent;
  do {
    sent = send(control_.get(), &word, 1, MSG_NOSIGNAL);
  } while (sent == -1 && errno == EINTR);
  if (sent != 1 && errno != EPIPE && errno != ECONNRESET)
    log_error("worker not told slot={} pid={} word={} error=\"{}\"", slot_, pid_, word,
              std::strerror(errno));
}

void WorkerProcess::kill(int signal) {
  // Not reaped yet, so the pid is still this child's.
  if (::kill(pid_, signal) != 0)
    log_error("signal not sent slot={} pid={} signal={} error=\"{}\"", slot_, pid_, signal,
              std::strerror(errno));
}

void WorkerProcess::on_readable(short) {
  char words[16];
  ssize_t got = recv(control_.get(), words, sizeof words, MSG_DONTWAIT);
  if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    readable_.watch(0);  // it closed its end; what it means the exit status will say
    return;
  }
  for (ssize_t i = 0; i < got; ++i) {
    if (words[i] == control_word::kReady)
      listener_.on_worker_ready(*this);
    else
      log_warn("unknown word from worker slot={} pid={} word={}; left out", slot_, pid_,
               int(words[i]));
  }
}

}  // namespace holdfast::master
