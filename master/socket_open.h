// master/socket_open.h - one listening socket, opened right.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "conf/config.h"

namespace holdfast::master {

// Errc::busy if another process's socket has the address. SO_REUSEPORT would share the port with
// any process of our user without a word, so this binds without it, and lets go again. Port 0 is
// always free.
Result<void> probe_tcp(const conf::Address& address);
// Non-blocking, SO_REUSEPORT, listening. `port` (if not 0) replaces the address's: the lanes
// after the first of a port-0 address.
Result<UniqueFd> open_tcp(const conf::Address& address, uint16_t port, unsigned backlog);

struct UnixSocketRules {
  mode_t mode;
  bool take_over =
      false;  // a process that still answers there is a worker of our killed master: replace the name
};
// A stale file is replaced: one that nobody answers at (connect() says ECONNREFUSED). Errc::busy if
// somebody does.
Result<UniqueFd> open_unix(const std::string& path, unsigned backlog, const UnixSocketRules& rules);

// The address a socket is really bound to: "127.0.0.1:45123", "[::1]:80", "unix:/path".
std::string bound_address(int fd);
uint16_t bound_port(int fd);

}  // namespace holdfast::master
