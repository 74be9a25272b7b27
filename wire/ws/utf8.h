// wire/ws/utf8.h - UTF-8 checked piece by piece, with one byte of state (RFC 3629).
//
// A message may end in the middle of a character wherever the network cuts it; the state says what
// the next byte may be. Wrong input is found at the first byte that cannot be right, not at the end
// of the character.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace holdfast::ws {

//  state     what has been seen                  what may come
//  start     whole characters                    00..7F, C2..DF, E0..EF, F0..F4
//  tail1     all but 1 byte of a character       80..BF
//  tail2     all but 2                           80..BF
//  tail3     F1..F3                              80..BF
//  after_e0  E0                                  A0..BF (less would be a longer form than needed)
//  after_ed  ED                                  80..9F (more would be a surrogate)
//  after_f0  F0                                  90..BF (less would be a longer form than needed)
//  after_f4  F4                                  80..8F (more would be above U+10FFFF)
//  wrong     a byte that could not be            nothing; stays
enum class Utf8 : uint8_t {
  start,
  tail1,
  tail2,
  tail3,
  after_e0,
  after_ed,
  after_f0,
  after_f4,
  wrong
};

namespace utf8_detail {

inline constexpr unsigned kStates = unsigned(Utf8::wrong) + 1;

constexpr Utf8 after_lead(unsigned byte) {
  if (byte <= 0x7F) return Utf8::start;
  if (byte < 0xC2 || byte > 0xF4) return Utf8::wrong;
  if (byte <= 0xDF) return Utf8::tail1;
  if (byte == 0xE0) return Utf8::after_e0;
  if (byte == 0xED) return Utf8::after_ed;
  if (byte <= 0xEF) return Utf8::tail2;
  if (byte == 0xF0) return Utf8::after_f0;
  return byte == 0xF4 ? Utf8::after_f4 : Utf8::tail3;
}

constexpr Utf8 next(Utf8 state, unsigned byte) {
  auto in = [byte](unsigned low, unsigned high, Utf8 then) {
    return low <= byte && byte <= high ? then : Utf8::wrong;
  };
  switch (state) {
    case Utf8::start:
      return after_lead(byte);
    case Utf8::tail1:
      return in(0x80, 0xBF, Utf8::start);
    case Utf8::tail2:
      return in(0x80, 0xBF, Utf8::tail1);
    case Utf8::tail3:
      return in(0x80, 0xBF, Utf8::tail2);
    case Utf8::after_e0:
      return in(0xA0, 0xBF, Utf8::tail1);
    case Utf8::after_ed:
      return in(0x80, 0x9F, Utf8::tail1);
    case Utf8::after_f0:
      return in(0x90, 0xBF, Utf8::tail2);
    case Utf8::after_f4:
      return in(0x80, 0x8F, Utf8::tail2);
    case Utf8::wrong:
      break;
  }
  return Utf8::wrong;
}

using Table = std::array<std::array<Utf8, 256>, kStates>;

constexpr Table make_table() {
  Table table{};
  for (unsigned state = 0; state < kStates; ++state)
    for (unsigned byte = 0; byte < 256; ++byte) table[state][byte] = next(Utf8(state), byte);
  return table;
}

inline constexpr Table kTable = make_table();

}  // namespace utf8_detail

inline Utf8 utf8_step(Utf8 state, char byte) {
  return utf8_detail::kTable[size_t(state)][static_cast<unsigned char>(byte)];
}

// The state after `text`; Utf8::wrong as soon as a byte is wrong. Text is whole if the answer is
// Utf8::start.
inline Utf8 utf8_feed(Utf8 state, std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end && state != Utf8::wrong) {
    while (state == Utf8::start && end - at >= 8) {  // ASCII, eight at a time
      uint64_t word;
      std::memcpy(&word, at, sizeof word);
      if ((word & 0x8080808080808080U) != 0) break;
      at += sizeof word;
    }
    if (at == end) break;
    state = utf8_step(state, *at++);
  }
  return state;
}

// Bytes of the longest prefix of `text` that is whole, right characters.
inline size_t utf8_prefix_bytes(std::string_view text) {
  Utf8 state = Utf8::start;
  size_t whole = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    state = utf8_step(state, text[i]);
    if (state == Utf8::wrong) break;
    if (state == Utf8::start) whole = i + 1;
  }
  return whole;
}

}  // namespace holdfast::ws
