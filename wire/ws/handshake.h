// wire/ws/handshake.h - judges whether a request is a WebSocket opening hand-shake, and answers it
// (RFC 6455 section 4.2).
#pragma once

#include <string>
#include <string_view>

#include "wire/http/request.h"

namespace holdfast::ws {

struct HandshakeVerdict {
  int status = 101;  // 101, or the status of the refusal: 400 malformed, 403 origin, 405 not GET,
                     // 426 no or wrong upgrade or version
  std::string_view why;  // one sentence for the refusal's body
};

// Checks method, version 1.1, Host, Upgrade, Connection, Sec-WebSocket-Version 13,
// Sec-WebSocket-Key (16 bytes of base64), and Origin, if there is one, by `origins` (http/origin.h).
HandshakeVerdict judge(const http::Request& request, const std::vector<std::string>& origins);
// base64(SHA-1(key + GUID)), RFC 6455 1.3.
std::string accept_value(std::string_view key);
// Status line and headers of a 101, ended by an empty line; `extra` are complete header lines
// ("Name: value\r\n") or "".
std::string accept_head(std::string_view key, std::string_view extra);

}  // namespace holdfast::ws
