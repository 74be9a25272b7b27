#include "worker/life/control_words.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "worker/life/words.h"

namespace holdfast {

// The kernel ends a read at the byte that a descriptor came with, so there is at most one in hand.
bool read_control_words(int control, ControlWords* words) {
  char bytes[16];
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))];
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  ssize_t got = recvmsg(control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got == -1) return errno == EAGAIN || errno == EINTR;
  words->text.assign(bytes, size_t(got));
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head != nullptr && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    words->fd = UniqueFd(fd);
  }
  return got > 0;
}

void say(int control, char word) {
  ssize_t sent;
  do {
    sent = send(control, &word, 1, MSG_NOSIGNAL);
  } while (sent == -1 && errno == EINTR);
  if (sent != 1)
    log_warn("the master did not take a word word={} error=\"{}\"", word, std::strerror(errno));
}

Result<UniqueFd> wait_for_takeover(int control) {
  for (;;) {
    pollfd one{.fd = control, .events = POLLIN, .revents = 0};
    if (poll(&one, 1, -1) == -1 && errno != EINTR)
      return Error{Errc::io, errno, "poll the control channel"};
    ControlWords words;
    if (!read_control_words(control, &words)) return Error{Errc::gone, 0, "the master is gone"};
    for (char word : words.text) {
      if (word == control_word::kTakeOver && words.fd) return std::move(words.fd);
      if (word == control_word::kReopen) {
        if (Result<void> reopened = reopen_log(); !reopened)
          log_error("reopen log failed error=\"{}\"; writing to the old one",
                    reopened.error().text());
      } else {
        return Error{Errc::gone, 0, "not needed"};
      }
    }
  }
}

void leave(int status) {
  std::fflush(nullptr);
  _exit(status);
}

}  // namespace holdfast
