#include "tests/unit/master/fake_handover.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "base/fault.h"

namespace holdfast::test {
namespace {

constexpr int kPatienceMs = 1'000;

struct Message {
  iovec part;
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};

  explicit Message(char* byte) : part{byte, 1} {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
  }
};

bool send_client(int socket, int fd) {
  char byte = 'c';
  Message message(&byte);
  cmsghdr* head = CMSG_FIRSTHDR(&message.header);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(socket, &message.header, MSG_NOSIGNAL) == 1;
}

}  // namespace

std::optional<pid_t> send_clients(int socket, const std::vector<int>& clients) {
  for (int fd : clients)
    if (!send_client(socket, fd)) return std::nullopt;
  if (send(socket, "e", 1, MSG_NOSIGNAL) != 1) return std::nullopt;
  HF_FAULT("fake.sent");
  pollfd readable{socket, POLLIN, 0};
  if (poll(&readable, 1, kPatienceMs) != 1) return std::nullopt;
  char answer[1 + sizeof(pid_t)];
  if (recv(socket, answer, sizeof answer, MSG_WAITALL) != sizeof answer) return std::nullopt;
  pid_t pid;
  std::memcpy(&pid, answer + 1, sizeof pid);
  return pid;
}

std::optional<std::vector<int>> receive_clients(int socket) {
  std::vector<int> clients;
  for (;;) {
    char byte = 0;
    Message message(&byte);
    if (recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC) != 1) return std::nullopt;
    if (byte == 'e') break;
    int fd;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message.header)), sizeof fd);
    clients.push_back(fd);
  }
  HF_FAULT("fake.received");
  char answer[1 + sizeof(pid_t)] = {'r'};
  pid_t pid = getpid();
  std::memcpy(answer + 1, &pid, sizeof pid);
  if (send(socket, answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) return std::nullopt;
  HF_FAULT("fake.answered");
  return clients;
}

void await_end(int socket) {
  char byte;
  while (recv(socket, &byte, 1, 0) > 0) {
  }
}

}  // namespace holdfast::test
