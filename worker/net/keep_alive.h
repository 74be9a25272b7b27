// worker/net/keep_alive.h - the kernel asks whether the other side is still there, if nothing else does.
#pragma once

#include <cstdint>

namespace holdfast {

// For a connection that may be silent for ever (RFC 9293 section 3.8.4): after 5 minutes of silence the kernel asks, then
// every minute, and after three questions without an answer the connection is broken. A unix socket needs none of it and
// refuses some.
void keep_alive(int fd);
// What has been sent and is not acknowledged for so long, or finds no room at the other side, breaks the connection (RFC 5482); 0: as
// the system has it.
void give_up_after(int fd, uint64_t ms);

}  // namespace holdfast
