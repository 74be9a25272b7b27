// wire/proxy/header.h - the header that a proxy sends before a connection's own bytes: PROXY protocol, versions 1 and 2
// (HAProxy Technologies, "The PROXY protocol", 2020-03-05, sections 2.1 and 2.2).
//
//   version 1   PROXY TCP4 203.0.113.7 198.51.100.1 56324 443 CR LF        at most 107 bytes
//               PROXY UNKNOWN ... CR LF
//   version 2   12 bytes signature | version 2, command | family, protocol | u16 length | addresses, TLVs
//
// Nonsense is refused at its first byte, not when a limit is reached.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::proxy {

struct Source {
  in6_addr address{};  // an IPv4 address is mapped
  uint16_t port = 0;
};

enum class Status : uint8_t { need_more, done, bad };

struct Header {
  Status status = Status::bad;
  size_t used = 0;  // done: bytes it takes
  // Empty: the proxy speaks for itself (a health check), or knows no internet address.
  std::optional<Source> source;
};

// The specification allows 65,551 with TLVs; proxies send a few hundred.
inline constexpr size_t kMaxHeaderBytes = 4096;

// `bytes`: all that have come, from the first.
Header read_header(std::string_view bytes);

}  // namespace holdfast::proxy
