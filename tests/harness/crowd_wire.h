// tests/harness/crowd_wire.h - what a crowd's connections say and hear, as pure functions over bytes.
//
// Written apart from the server's own codecs, so that a mistake there is not repeated here. Every reader looks at the
// front of what has come, takes nothing away, and says how much the first whole thing is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::test {

enum class Cut : uint8_t { more, whole, bad };

// ---- WebSocket, RFC 6455

inline constexpr uint8_t kWsMore = 0, kWsText = 1, kWsClose = 8, kWsPing = 9, kWsPong = 10;
inline constexpr const char* kWsKey = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr const char* kWsAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct WsPiece {
  uint8_t opcode = 0;
  bool last = true;
  std::string_view payload;
};

// What a server sends: unmasked. A masked frame or a reserved bit is bad.
Cut cut_frame(std::string_view in, WsPiece* piece, size_t* used);
std::string client_frame(uint8_t opcode, bool last, std::string_view payload, uint32_t mask);
std::string handshake_request(const std::string& target);

// ---- HTTP/1.1 answers

struct HttpPiece {
  int status = 0;
  std::string_view head;  // status line and header lines
  std::string_view body;
  std::string_view header(std::string_view name) const;  // lower case; "" where absent
};

// A body has a Content-Length; a 101 has none, and frames come behind it.
Cut cut_http(std::string_view in, HttpPiece* piece, size_t* used);
std::string http_request(std::string_view method, std::string_view target, std::string_view body);

// ---- RESP2

struct RespPiece {
  char type = 0;  // + - : $ *
  std::string_view text;
  std::vector<RespPiece> elements;
};

Cut cut_resp(std::string_view in, RespPiece* piece, size_t* used);
std::string resp_request(const std::vector<std::string_view>& words);

// ---- a 4-byte big-endian length, then the message

Cut cut_length(std::string_view in, std::string_view* message, size_t* used);
std::string length_frame(std::string_view message);

}  // namespace holdfast::test
