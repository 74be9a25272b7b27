#include "master/socket_open.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

namespace holdfast::master {
namespace {

enum class Share : bool { no, yes };

// A bound TCP socket. Errors have errno and no words yet.
Result<UniqueFd> bind_tcp(const conf::Address& address, uint16_t port, Share share) {
  sockaddr_storage raw = address.raw;
  if (port != 0 && raw.ss_family == AF_INET)
    reinterpret_cast<sockaddr_in*>(&raw)->sin_port = htons(port);
  if (port != 0 && raw.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6*>(&raw)->sin6_port = htons(port);
  UniqueFd fd(socket(raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return Error{Errc::io, errno, "socket"};
  int on = 1;
  // REUSEADDR: connections of a former life (TIME_WAIT, or still draining) do not hold the port.
  bool set = setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (share == Share::yes)
    set = set && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  // V6ONLY: "[::]:80" and "0.0.0.0:80" may stand side by side, whatever the system's default is.
  if (raw.ss_family == AF_INET6)
    set = set && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
  if (!set) return Error{Errc::io, errno, "setsockopt"};
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&raw), address.raw_bytes) != 0)
    return Error{errno == EADDRINUSE ? Errc::busy : Errc::io, errno, "bind"};
  return fd;
}

Error explained(const Error& error, const std::string& address) {
  if (error.code == Errc::busy)
    return Error{Errc::busy, 0, fmt::format("{}: another process listens there already", address)};
  return Error{error.code, error.sys, fmt::format("{}: {}", address, error.what)};
}

// Does somebody accept connections at this unix socket?
enum class Answer { nothing_there, stale, alive, unknown };
Answer ask_unix(const sockaddr_un& name) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return Answer::unknown;
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0)
    return Answer::alive;
  if (errno == ENOENT) return Answer::nothing_there;
  if (errno == ECONNREFUSED) return Answer::stale;
  return errno == EAGAIN ? Answer::alive : Answer::unknown;  // EAGAIN: alive, its queue is full
}

// Makes the name free to bind, where that is right.
Result<void> clear_name(const std::string& path, const sockaddr_un& name, bool take_over) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return {};  // whatever it is, bind() will say
  if (!S_ISSOCK(found.st_mode))
    return Error{Errc::io, 0, fmt::format("unix:{}: exists and is not a socket; remove it", path)};
  Answer answer = ask_unix(name);
  if (answer == Answer::alive && !take_over)
    return Error{Errc::busy, 0,
                 fmt::format("unix:{}: another process listens there already", path)};
  if (answer == Answer::unknown)
    return Error{Errc::io, errno,
                 fmt::format("unix:{}: cannot tell whether the socket is in use", path)};
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return Error{Errc::io, errno, fmt::format("unix:{}: remove the stale socket", path)};
  return {};
}

}  // namespace

Result<void> probe_tcp(const conf::Address& address) {
  if (address.port() == 0) return {};
  auto fd = bind_tcp(address, 0, Share::no);
  if (!fd) return explained(fd.error(), address.text);
  return {};
}

Result<UniqueFd> open_tcp(const conf::Address& address, uint16_t port, unsigned backlog) {
  auto fd = bind_tcp(address, port, Share::yes);
  if (!fd) return explained(fd.error(), address.text);
  if (listen(fd->get(), int(backlog)) != 0)
    return explained(Error{errno == EADDRINUSE ? Errc::busy : Errc::io, errno, "listen"},
                     address.text);
  return fd;
}

Result<UniqueFd> open_unix(const std::string& path, unsigned backlog,
                           const UnixSocketRules& rules) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path)
    return Error{Errc::config, 0, fmt::format("unix:{}: path too long or empty", path)};
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  auto cleared = clear_name(path, name, rules.take_over);
  if (!cleared) return std::move(cleared.error());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return Error{Errc::io, errno, fmt::format("unix:{}: socket", path)};
  // The mode holds from the first moment on: no chmod() after the name is there.
  mode_t before = umask(mode_t(0777 & ~rules.mode));
  int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  int error = errno;
  umask(before);
  if (bound != 0) return Error{Errc::io, error, fmt::format("unix:{}: bind", path)};
  if (listen(fd.get(), int(backlog)) != 0) {
    error = errno;
    unlink(path.c_str());
    return Error{Errc::io, error, fmt::format("unix:{}: listen", path)};
  }
  return fd;
}

std::string bound_address(int fd) {
  sockaddr_storage raw{};
  socklen_t bytes = sizeof raw;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &bytes) != 0) return "?";
  char host[INET6_ADDRSTRLEN] = "";
  if (raw.ss_family == AF_INET)
    return fmt::format(
        "{}:{}",
        inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&raw)->sin_addr, host, sizeof host),
        bound_port(fd));
  if (raw.ss_family == AF_INET6)
    return fmt::format(
        "[{}]:{}",
        inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&raw)->sin6_addr, host, sizeof host),
        bound_port(fd));
  return fmt::format("unix:{}", reinterpret_cast<sockaddr_un*>(&raw)->sun_path);
}

uint16_t bound_port(int fd) {
  sockaddr_storage raw{};
  socklen_t bytes = sizeof raw;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &bytes) != 0) return 0;
  if (raw.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&raw)->sin_port);
  if (raw.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&raw)->sin6_port);
  return 0;
}

}  // namespace holdfast::master
