// wire/router/messages.h - messages of the fooking gateway's router, which programs written for it
// send. Pure: bytes to a message and back.
//
//   0               1               2               3
//   +-------------------------------+-------------------------------+
//   | type                          | slen                          |
//   +-------------------------------+-------------------------------+
//   | len (signed)                                                  |
//   +---------------------------------------------------------------+
//   | slen bytes: addressees (session ids, or a channel)            |
//   +---------------------------------------------------------------+
//   | len bytes: content (a payload, or a channel)                  |
//   +---------------------------------------------------------------+
//
// Big-endian. Nothing marks where a message begins, so reading cannot go on after an impossible
// length.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"

namespace holdfast::api {

inline constexpr size_t kRouterHeadBytes = 8;
// No `len` is so large, whatever max_body allows: four bytes of text would spell it. So a request
// that a web page makes a browser send here ("POST / HTTP/1.1") ends the connection, and nothing in
// its body is taken for a message.
inline constexpr uint32_t kRouterTextLength = 0x2000'0000;

// The types a pusher uses. 1, 2, 3, 10 and 11 are between a gateway and its router.
enum class RouterType : uint16_t {
  kick = 4,      // ids
  send = 5,      // ids; payload
  send_all = 6,  // payload
  join = 7,      // ids; channel
  leave = 8,     // ids; channel
  publish = 9,   // channel; payload
  info = 12,     // the only one that is answered, with one of the same type
};

struct RouterMessage {
  uint16_t type = 0;
  std::string_view whom;  // into the bytes it was read from
  std::string_view what;
};

enum class RouterRead : uint8_t {
  need_more,
  complete,
  bad,  // `len` is negative or larger than `max_what`
};
// Looks for a message at the start of `bytes`; `used`: its length, if it is complete. Judges as
// soon as the head is there.
RouterRead read_router_message(std::string_view bytes, size_t max_what, RouterMessage* message,
                               size_t* used);
// `whom` has at most 65535 bytes, `what` less than kRouterTextLength.
BufferRef router_message(const RouterMessage& message);

}  // namespace holdfast::api
