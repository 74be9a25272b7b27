// System calls that fail by a FaultTable (faults.h). Each stands for libc's function of its name and makes the call itself.
// libc's checked forms (__recv_chk, __read_chk) are what _FORTIFY_SOURCE makes of calls with a buffer of known size.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>

#include "tests/harness/faults.h"

namespace {

using holdfast::test::Fault;
using holdfast::test::FaultTable;

constexpr size_t kShort = 7;

FaultTable* open_table() {
  const char* path = std::getenv(holdfast::test::kFaultsVariable);
  if (path == nullptr) return nullptr;
  int fd = int(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
  if (fd == -1) return nullptr;
  void* map = mmap(nullptr, sizeof(FaultTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  return map == MAP_FAILED ? nullptr : static_cast<FaultTable*>(map);
}

FaultTable* table() {
  static FaultTable* const the = open_table();
  return the;
}

// splitmix64 (Steele, Lea, Flood, 2014) of a number that no other call of any process gets.
uint64_t chance() {
  uint64_t z = table()->calls.fetch_add(1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

bool comes(Fault fault) {
  if (table() == nullptr) return false;
  uint32_t one_in = table()->one_in[size_t(fault)];
  if (one_in == 0 || chance() % one_in != 0) return false;
  table()->come[size_t(fault)].fetch_add(1);
  return true;
}

bool fails(Fault fault, int error) {
  if (!comes(fault)) return false;
  errno = error;
  return true;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  int before = errno;
  if (syscall(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &bytes) == -1) value = -1;
  errno = before;
  return value;
}

bool is_stream(int fd) {
  return option(fd, SO_TYPE) == SOCK_STREAM;
}

// A connection to somebody outside: over TCP, or to a server that has a path.
bool is_outward(int fd) {
  if (!is_stream(fd)) return false;
  if (option(fd, SO_DOMAIN) != AF_UNIX) return true;
  sockaddr_un peer{};
  socklen_t bytes = sizeof peer;
  int before = errno;
  bool named = syscall(SYS_getpeername, fd, &peer, &bytes) == 0 && bytes > sizeof(sa_family_t);
  errno = before;
  return named;
}

bool read_fails(int fd) {
  if (table() == nullptr) return false;
  if (fails(Fault::interrupted, EINTR)) return true;
  return is_outward(fd) && (fails(Fault::reset, ECONNRESET) || fails(Fault::no_memory, ENOMEM));
}

bool write_fails(int fd) {
  if (table() == nullptr) return false;
  if (fails(Fault::interrupted, EINTR)) return true;
  return is_outward(fd) && (fails(Fault::reset, ECONNRESET) || fails(Fault::broken_pipe, EPIPE) ||
                            fails(Fault::no_memory, ENOMEM));
}

bool new_one_fails() {
  return fails(Fault::interrupted, EINTR) || fails(Fault::no_files, EMFILE) ||
         fails(Fault::no_memory, ENOMEM);
}

size_t shorter(int fd, size_t bytes, Fault fault) {
  if (bytes < 2 || table() == nullptr || table()->one_in[size_t(fault)] == 0 || !is_stream(fd) ||
      !comes(fault))
    return bytes;
  return 1 + chance() % std::min(bytes - 1, kShort);
}

}  // namespace

// NOLINTBEGIN: the names and signatures are libc's
extern "C" {

ssize_t read(int fd, void* to, size_t bytes) {
  if (read_fails(fd)) return -1;
  return syscall(SYS_read, fd, to, shorter(fd, bytes, Fault::short_read));
}
ssize_t __read_chk(int fd, void* to, size_t bytes, size_t) {
  return read(fd, to, bytes);
}

ssize_t recvfrom(int fd, void* to, size_t bytes, int flags, sockaddr* from, socklen_t* size) {
  if (read_fails(fd)) return -1;
  return syscall(SYS_recvfrom, fd, to, shorter(fd, bytes, Fault::short_read), flags, from, size);
}
ssize_t recv(int fd, void* to, size_t bytes, int flags) {
  return recvfrom(fd, to, bytes, flags, nullptr, nullptr);
}
ssize_t __recv_chk(int fd, void* to, size_t bytes, size_t, int flags) {
  return recvfrom(fd, to, bytes, flags, nullptr, nullptr);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (read_fails(fd)) return -1;
  return syscall(SYS_recvmsg, fd, message, flags);
}
ssize_t readv(int fd, const iovec* parts, int count) {
  if (read_fails(fd)) return -1;
  return syscall(SYS_readv, fd, parts, count);
}

ssize_t write(int fd, const void* from, size_t bytes) {
  if (write_fails(fd)) return -1;
  return syscall(SYS_write, fd, from, shorter(fd, bytes, Fault::short_write));
}
ssize_t sendto(int fd, const void* from, size_t bytes, int flags, const sockaddr* to,
               socklen_t size) {
  if (write_fails(fd)) return -1;
  return syscall(SYS_sendto, fd, from, shorter(fd, bytes, Fault::short_write), flags, to, size);
}
ssize_t send(int fd, const void* from, size_t bytes, int flags) {
  return sendto(fd, from, bytes, flags, nullptr, 0);
}
// Short: its first part alone, and of that not all.
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (write_fails(fd)) return -1;
  if (message->msg_iovlen > 0) {
    iovec part = message->msg_iov[0];
    size_t bytes = shorter(fd, part.iov_len, Fault::short_write);
    if (bytes < part.iov_len) {
      part.iov_len = bytes;
      msghdr first = *message;
      first.msg_iov = &part;
      first.msg_iovlen = 1;
      return syscall(SYS_sendmsg, fd, &first, flags);
    }
  }
  return syscall(SYS_sendmsg, fd, message, flags);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  if (write_fails(fd)) return -1;
  if (count > 0) {
    size_t bytes = shorter(fd, parts[0].iov_len, Fault::short_write);
    if (bytes < parts[0].iov_len) return syscall(SYS_write, fd, parts[0].iov_base, bytes);
  }
  return syscall(SYS_writev, fd, parts, count);
}

int accept4(int fd, sockaddr* from, socklen_t* size, int flags) {
  if (new_one_fails()) return -1;
  return int(syscall(SYS_accept4, fd, from, size, flags));
}
int socket(int domain, int type, int protocol) {
  if (fails(Fault::no_files, EMFILE) || fails(Fault::no_memory, ENOMEM)) return -1;
  return int(syscall(SYS_socket, domain, type, protocol));
}
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (fails(Fault::no_files, EMFILE)) return -1;
  return int(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

// Its symbol is fallocate64, as that of callers that were built with _FILE_OFFSET_BITS=64, too.
int fallocate(int fd, int mode, off_t from, off_t bytes) {
  if (fails(Fault::no_space, ENOSPC)) return -1;
  return int(syscall(SYS_fallocate, fd, mode, from, bytes));
}

int epoll_ctl(int epoll, int what, int fd, epoll_event* event) noexcept {
  if (what == EPOLL_CTL_ADD && table() != nullptr && is_outward(fd) &&
      fails(Fault::no_memory, ENOMEM))
    return -1;
  return int(syscall(SYS_epoll_ctl, epoll, what, fd, event));
}
int epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  if (fails(Fault::interrupted, EINTR)) return -1;
  return int(syscall(SYS_epoll_wait, epoll, events, most, timeout));
}

}  // extern "C"
// NOLINTEND
