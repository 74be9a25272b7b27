#include "shm/session_id.h"

#include <array>

#include "base/random.h"

namespace holdfast::shm {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr uint8_t kNoDigit = 0xff;

constexpr uint8_t hex_digit(char c) {
  if (c >= '0' && c <= '9') return uint8_t(c - '0');
  if (c >= 'a' && c <= 'f') return uint8_t(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return uint8_t(c - 'A' + 10);
  return kNoDigit;
}

constexpr auto kHexDigits = [] {
  std::array<uint8_t, 256> digits{};
  for (size_t c = 0; c < digits.size(); ++c) digits[c] = hex_digit(char(c));
  return digits;
}();

// Of 16 digits. False: some are none. Every push to a session passes here.
bool parse_word(std::string_view text, uint64_t* word) {
  unsigned all = 0;
  *word = 0;
  for (char c : text) {
    unsigned digit = kHexDigits[uint8_t(c)];
    all |= digit;
    *word = *word << 4 | (digit & 0x0f);
  }
  return all <= 0x0f;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

// Appends `bits` low bits of `digit` to the 128-bit number.
void shift_in(SessionId& id, unsigned digit, unsigned bits) {
  id.hi = id.hi << bits | id.lo >> (64 - bits);
  id.lo = id.lo << bits | digit;
}

}  // namespace

SessionId SessionId::make(uint16_t node, uint32_t index) {
  struct {
    uint64_t lo;
    uint16_t hi;
  } __attribute__((packed)) random;
  fill_random(&random, sizeof random);
  return {uint64_t(node) << 48 | uint64_t(index) << 16 | random.hi, random.lo};
}

std::optional<SessionId> SessionId::parse(std::string_view text) {
  SessionId id;
  if (text.size() == 32) {
    if (!parse_word(text.substr(0, 16), &id.hi) || !parse_word(text.substr(16), &id.lo)) return {};
    return id;
  }
  if (text.size() != 22) return {};
  for (size_t i = 0; i < 21; ++i) {
    int digit = base64_digit(text[i]);
    if (digit < 0) return {};
    shift_in(id, unsigned(digit), 6);
  }
  // 21 digits carry 126 bits; the last carries 2 and four zeros (RFC 4648 section 3.5: other bits
  // are an error).
  int last = base64_digit(text[21]);
  if (last < 0 || (last & 0x0f) != 0) return {};
  shift_in(id, unsigned(last) >> 4, 2);
  return id;
}

std::string SessionId::hex() const {
  std::string out(32, '0');
  for (unsigned i = 0; i < 16; ++i) {
    out[i] = kHex[hi >> (60 - 4 * i) & 0x0f];
    out[16 + i] = kHex[lo >> (60 - 4 * i) & 0x0f];
  }
  return out;
}

std::string SessionId::base64url() const {
  std::string out(22, 'A');
  SessionId rest = *this;
  for (char& c : out) {
    c = kBase64[rest.hi >> 58];
    shift_in(rest, 0, 6);
  }
  return out;
}

}  // namespace holdfast::shm
