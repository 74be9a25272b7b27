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
  if (sent != 1 && errno != EPIPE && errno != ECONNRESET) complain(word);
}

bool WorkerProcess::tell(char word, int fd) {
  iovec part{&word, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = sendmsg(control_.get(), &message, MSG_NOSIGNAL);
  } while (sent == -1 && errno == EINTR);
  if (sent != 1) complain(word);
  return sent == 1;
}

void WorkerProcess::complain(char word) const {
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
  for (ssize_t i = 0; i < got; ++i) on_word(words[i]);
}

void WorkerProcess::on_word(char word) {
  switch (word) {
    case control_word::kReady:
      return listener_.on_worker_ready(*this);
    case control_word::kTaken:
      return listener_.on_worker_taken(*this);
    case control_word::kKept:
      return listener_.on_worker_kept(*this);
    default:
      log_warn("unknown word from worker slot={} pid={} word={}; left out", slot_, pid_, int(word));
  }
}

}  // namespace holdfast::master
