// worker/net/address_text.h - the two ends of a client's connection, as text for the application.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "shm/session_directory.h"

namespace holdfast {

// An IPv4 address that is mapped into IPv6 is written as IPv4.
std::string address_text(const in6_addr& address);
// The server's side of a connection; "" and 0 for unix sockets.
void local_address(int fd, std::string* address, uint16_t* port);
bool is_unix(const shm::SessionOrigin& origin);
// For log lines: its address, or "unix".
std::string peer_text(const shm::SessionOrigin& origin);

}  // namespace holdfast
