// base/base64url.h - base64url without padding (RFC 4648 section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

inline constexpr std::string_view kBase64UrlDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

inline std::string to_base64url(std::string_view bytes) {
  std::string text;
  uint32_t held = 0;
  unsigned bits = 0;
  for (unsigned char c : bytes) {
    held = held << 8 | c;
    for (bits += 8; bits >= 6; bits -= 6) text += kBase64UrlDigits[held >> (bits - 6) & 63];
  }
  if (bits > 0) text += kBase64UrlDigits[held << (6 - bits) & 63];
  return text;
}

// Bits after the last whole byte are left out, set or not. Empty: it has other characters.
inline std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  uint32_t held = 0;
  unsigned bits = 0;
  for (char c : text) {
    size_t digit = kBase64UrlDigits.find(c);
    if (digit == std::string_view::npos) return {};
    held = held << 6 | uint32_t(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += char(held >> bits & 0xff);
  }
  return bytes;
}

}  // namespace holdfast
