// wire/ws/client.h - the client's side of the WebSocket wire (RFC 6455): hand-shake, masked frames out, a server's frames in. Pure
// bytes.
//
// For clients that look at whole frames where they lie, without state and without a copy. Strict about what a server may send: a
// masked, reserved, deflated or fragmented frame is an error. (Our server frames every message whole.) Text is not checked for UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/ws/decoder.h"

namespace holdfast::ws {

// ---- Hand-shake

// `key`: 16 bytes in base64; see make_key().
std::string handshake_request(std::string_view host, std::string_view target, std::string_view key);
// base64 of 16 bytes made of two words.
std::string make_key(uint64_t a, uint64_t b);

enum class HandshakeState : uint8_t { need_more, accepted, refused };
struct HandshakeAnswer {
  HandshakeState state = HandshakeState::need_more;
  int status = 0;         // 0: not whole, or no HTTP
  std::string_view head;  // in the bytes given, for http::header_of(); frames may follow
};
// The answer at the start of `bytes`; refused too if it is longer than kMaxAnswerHead. What follows a refusal's head is not read.
inline constexpr size_t kMaxAnswerHead = 16 * 1024;
HandshakeAnswer read_handshake(std::string_view bytes, std::string_view key);

// ---- Frames

// Appends a whole masked frame, FIN set.
void append_client_frame(std::string& out, Opcode opcode, std::string_view payload, uint32_t mask);

enum class FrameState : uint8_t { need_more, whole, broken };
struct Frame {
  FrameState state = FrameState::need_more;
  Opcode opcode = Opcode::text;
  std::string_view payload;  // in the bytes given
  size_t frame_bytes = 0;
};
// The frame at the start of `bytes`. One with more than `max_payload` bytes is broken.
Frame read_server_frame(std::string_view bytes, size_t max_payload);

}  // namespace holdfast::ws
