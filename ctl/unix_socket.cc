#include "ctl/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace holdfast::ctl {
namespace {

// connect(2) to a unix socket whose queue is full obeys SO_SNDTIMEO; a non-blocking one could not
// be waited for.
void bound_connect(int fd, uint64_t ms) {
  timeval limit{.tv_sec = time_t(ms / 1000), .tv_usec = suseconds_t(ms % 1000 * 1000)};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // cannot fail on a socket
}

Error connect_error(const std::string& path) {
  int sys = errno;
  if (sys == ENOENT || sys == ECONNREFUSED)
    return {
        Errc::gone, 0,
        "nobody listens at " + path + " (" + std::strerror(sys) + "); is the instance running?"};
  if (sys == EAGAIN || sys == EINPROGRESS)
    return {Errc::limit, 0, "nobody accepts at " + path + " in time"};
  return {Errc::io, sys, "connect to " + path};
}

}  // namespace

Result<UnixSocket> UnixSocket::connect(const std::string& path, const Deadline& deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Errc::limit, 0, "path too long for a socket: " + path};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error{Errc::io, errno, "socket"};
  bound_connect(fd.get(), std::max<uint64_t>(deadline.left_ms(), 1));
  int got;
  do {
    got = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  } while (got == -1 && errno == EINTR);
  if (got == -1) return connect_error(path);
  return UnixSocket(std::move(fd));
}

Result<void> UnixSocket::wait(short what, const Deadline& deadline) {
  for (;;) {
    uint64_t left = deadline.left_ms();
    pollfd one{.fd = fd_.get(), .events = what, .revents = 0};
    int ready = ::poll(&one, 1, int(std::min<uint64_t>(left, INT_MAX)));
    if (ready == 1) return {};
    if (ready == 0 && left == 0) return Error{Errc::limit, 0, "no answer in time"};
    if (ready == -1 && errno != EINTR) return Error{Errc::io, errno, "poll"};
  }
}

Result<void> UnixSocket::write(std::string_view bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(size_t(sent));
    } else if (errno == EAGAIN) {
      if (Result<void> ready = wait(POLLOUT, deadline); !ready) return ready;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Error{Errc::gone, errno, "write"};
    } else if (errno != EINTR) {
      return Error{Errc::io, errno, "write"};
    }
  }
  return {};
}

Result<bool> UnixSocket::read(std::string& to, const Deadline& deadline) {
  char chunk[16 * 1024];
  for (;;) {
    ssize_t got = ::recv(fd_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (got == 0) return false;
    if (got > 0) {
      to.append(chunk, size_t(got));
      return true;
    }
    if (errno == EAGAIN) {
      if (Result<void> ready = wait(POLLIN, deadline); !ready) return ready.error();
    } else if (errno != EINTR) {
      return Error{Errc::io, errno, "read"};
    }
  }
}

}  // namespace holdfast::ctl
