// bench/load/ws_client.h - the client's side of the WebSocket wire (RFC 6455). Pure bytes.
//
// Strict about what a server may send: a masked, reserved or fragmented frame is an error, not
// something to work around. (Our server frames every message whole.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::bench {

inline constexpr size_t kMaxFrameBytes = 32 * 1024 * 1024;
inline constexpr size_t kMaxHeadBytes = 16 * 1024;

enum class Opcode : uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// ---- Hand-shake

// `key`: 16 bytes in base64; see accept_value().
std::string handshake_request(std::string_view host, std::string_view target, std::string_view key);
// base64 of 16 bytes made of two words.
std::string make_key(uint64_t a, uint64_t b);
// What Sec-WebSocket-Accept must be for `key`.
std::string accept_value(std::string_view key);

enum class HandshakeState : uint8_t { need_more, accepted, refused };
struct HandshakeAnswer {
  HandshakeState state = HandshakeState::need_more;
  int status = 0;
  std::string_view session;  // the Holdfast-Session header, "" without
  size_t head_bytes = 0;     // frames may follow
};
HandshakeAnswer read_handshake(std::string_view bytes, std::string_view key);

// ---- Frames

// Appends a whole masked frame, FIN set.
void append_frame(std::string& out, Opcode opcode, std::string_view payload, uint32_t mask);

enum class FrameState : uint8_t { need_more, whole, broken };
struct Frame {
  FrameState state = FrameState::need_more;
  Opcode opcode = Opcode::text;
  std::string_view payload;  // in the bytes given
  size_t frame_bytes = 0;
};
// The frame at the start of `bytes`.
Frame read_frame(std::string_view bytes);

}  // namespace holdfast::bench
