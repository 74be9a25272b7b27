#include "bench/load/ws_client.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "bench/load/http_head.h"
#include "wire/ws/mask.h"

namespace holdfast::bench {
namespace {

std::string base64(const void* bytes, size_t size) {
  char text[64];
  HF_CHECK(size <= 32);
  int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text),
                                static_cast<const unsigned char*>(bytes), int(size));
  return {text, size_t(written)};
}

bool known(uint8_t opcode) {
  return opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10);
}

}  // namespace

std::string make_key(uint64_t a, uint64_t b) {
  uint64_t words[2] = {a, b};
  return base64(words, sizeof words);
}

std::string accept_value(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HF_CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  return base64(digest, size);
}

std::string handshake_request(std::string_view host, std::string_view target,
                              std::string_view key) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
      target, host, key);
}

HandshakeAnswer read_handshake(std::string_view bytes, std::string_view key) {
  HandshakeAnswer answer;
  size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() > kMaxHeadBytes) answer.state = HandshakeState::refused;
    return answer;
  }
  std::string_view head = bytes.substr(0, end);
  answer.head_bytes = end + 4;
  answer.status = status_of_head(head);
  bool accepted =
      answer.status == 101 && field_of_head(head, "Sec-WebSocket-Accept") == accept_value(key);
  answer.state = accepted ? HandshakeState::accepted : HandshakeState::refused;
  answer.session = field_of_head(head, "Holdfast-Session");
  return answer;
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload, uint32_t mask) {
  char head[14];
  size_t size = 2;
  head[0] = char(0x80 | uint8_t(opcode));
  if (payload.size() < 126) {
    head[1] = char(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    head[1] = char(0x80 | 126);
    store_be16(head + 2, uint16_t(payload.size()));
    size = 4;
  } else {
    head[1] = char(0x80 | 127);
    store_be64(head + 2, payload.size());
    size = 10;
  }
  ws::MaskKey key;
  std::memcpy(key.data(), &mask, 4);
  std::memcpy(head + size, &mask, 4);
  out.append(head, size + 4);
  size_t at = out.size();
  out.append(payload);
  ws::apply_mask(out.data() + at, payload.size(), key);
}

Frame read_frame(std::string_view bytes) {
  Frame frame;
  if (bytes.size() < 2) return frame;
  auto first = uint8_t(bytes[0]);
  auto second = uint8_t(bytes[1]);
  bool final_one = (first & 0x80) != 0 && (first & 0x70) == 0;
  if (!final_one || !known(first & 0x0f) || (second & 0x80) != 0) {
    frame.state = FrameState::broken;
    return frame;
  }
  frame.opcode = Opcode(first & 0x0f);
  size_t head = second < 126 ? 2 : second == 126 ? 4 : 10;
  if (bytes.size() < head) return frame;
  uint64_t length = head == 2   ? second
                    : head == 4 ? load_be16(bytes.data() + 2)
                                : load_be64(bytes.data() + 2);
  if (length > kMaxFrameBytes) frame.state = FrameState::broken;
  if (length > kMaxFrameBytes || bytes.size() < head + length) return frame;
  frame.state = FrameState::whole;
  frame.payload = bytes.substr(head, length);
  frame.frame_bytes = head + length;
  return frame;
}

}  // namespace holdfast::bench
