// wire/ws/encoder.h - frames to clients (RFC 6455 section 5.2). Pure bytes; a server never masks.
#pragma once

#include <string>
#include <string_view>

#include "wire/ws/decoder.h"

namespace holdfast::ws {

// Bytes of a header for a payload of this size: 2, 4 or 10.
size_t header_bytes(size_t payload_bytes);
// Writes it to `out` (room for 10), FIN set, and RSV1 for a deflated payload; returns its size.
size_t write_header(char* out, Opcode opcode, size_t payload_bytes, bool deflated = false);
std::string encode(Opcode opcode, std::string_view payload);
// A close frame. A reason longer than 123 bytes is cut at a character boundary, one that is not
// UTF-8 before its first wrong character. A code that may not be on the wire (0, 1005, 1006 ...)
// gives a frame without payload.
std::string encode_close(uint16_t code, std::string_view reason);

}  // namespace holdfast::ws
