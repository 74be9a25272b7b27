#include "wire/ws/encoder.h"

#include "base/bytes.h"

namespace holdfast::ws {
namespace {
constexpr size_t kMaxReason = 123;  // a control frame's 125, less the code
}

size_t header_bytes(size_t payload_bytes) {
  if (payload_bytes <= 125) return 2;
  return payload_bytes <= UINT16_MAX ? 4 : 10;
}

size_t write_header(char* out, Opcode opcode, size_t payload_bytes, bool deflated) {
  size_t size = header_bytes(payload_bytes);
  out[0] = char(0x80 | (deflated ? 0x40 : 0) | uint8_t(opcode));
  if (size == 2) {
    out[1] = char(payload_bytes);
  } else if (size == 4) {
    out[1] = 126;
    store_be16(out + 2, uint16_t(payload_bytes));
  } else {
    out[1] = 127;
    store_be64(out + 2, payload_bytes);
  }
  return size;
}

std::string encode(Opcode opcode, std::string_view payload) {
  char head[10];
  size_t size = write_header(head, opcode, payload.size());
  std::string frame;
  frame.reserve(size + payload.size());
  return frame.append(head, size).append(payload);
}

std::string encode_close(uint16_t code, std::string_view reason) {
  if (!valid_close_code(code)) return encode(Opcode::close, {});
  reason = reason.substr(0, kMaxReason);
  std::string payload(2, '\0');
  store_be16(payload.data(), code);
  payload += reason.substr(0, utf8_prefix_bytes(reason));
  return encode(Opcode::close, payload);
}

}  // namespace holdfast::ws
