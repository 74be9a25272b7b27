#include "worker/net/address_text.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>

namespace holdfast {

std::string address_text(const in6_addr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  return text;
}

void local_address(int fd, std::string* address, uint16_t* port) {
  sockaddr_storage raw{};
  socklen_t bytes = sizeof raw;
  *port = 0;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &bytes) == -1) return;
  char text[INET6_ADDRSTRLEN] = "";
  if (raw.ss_family == AF_INET) {
    auto in = reinterpret_cast<const sockaddr_in*>(&raw);
    *address = inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    *port = ntohs(in->sin_port);
  } else if (raw.ss_family == AF_INET6) {
    auto in = reinterpret_cast<const sockaddr_in6*>(&raw);
    *address = inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
    *port = ntohs(in->sin6_port);
  }
}

bool is_unix(const shm::SessionOrigin& origin) {
  static constexpr in6_addr kNone{};
  return std::memcmp(&origin.peer, &kNone, sizeof kNone) == 0 && origin.peer_port == 0;
}

std::string peer_text(const shm::SessionOrigin& origin) {
  return is_unix(origin) ? "unix" : address_text(origin.peer);
}

}  // namespace holdfast
