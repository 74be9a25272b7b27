#include "worker/api/cursor.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace holdfast::api {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kHeadBytes = 12;

// RFC 4648 section 5, without padding.
std::string to_base64url(std::string_view bytes) {
  std::string text;
  uint32_t held = 0;
  unsigned bits = 0;
  for (unsigned char c : bytes) {
    held = held << 8 | c;
    for (bits += 8; bits >= 6; bits -= 6) text += kDigits[held >> (bits - 6) & 63];
  }
  if (bits > 0) text += kDigits[held << (6 - bits) & 63];
  return text;
}

// Bits behind the last whole byte are left out, set or not: the check does not cover them.
std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  uint32_t held = 0;
  unsigned bits = 0;
  for (char c : text) {
    size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return {};
    held = held << 6 | uint32_t(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += char(held >> bits & 0xff);
  }
  return bytes;
}

uint32_t check_of(const Listing& listing, std::string_view place) {
  std::string all(1, char(listing.kind));
  all += listing.scope;
  all += '\0';  // neither names nor prefixes that are found have one
  all += place;
  return uint32_t(hash_name(all));
}

}  // namespace

std::string write_cursor(const Listing& listing, const Cursor& cursor) {
  std::string bytes(kHeadBytes, '\0');
  store_be64(bytes.data() + 4, cursor.position);
  bytes += cursor.name;
  store_be32(bytes.data(), check_of(listing, std::string_view(bytes).substr(4)));
  return to_base64url(bytes);
}

std::optional<Cursor> read_cursor(const Listing& listing, std::string_view text) {
  std::optional<std::string> bytes = from_base64url(text);
  if (!bytes || bytes->size() < kHeadBytes) return {};
  if (load_be32(bytes->data()) != check_of(listing, std::string_view(*bytes).substr(4))) return {};
  return Cursor{.position = load_be64(bytes->data() + 4), .name = bytes->substr(kHeadBytes)};
}

}  // namespace holdfast::api
