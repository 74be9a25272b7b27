#include "wire/ws/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "simdjson.h"
#include "wire/ws/mask.h"

namespace holdfast::ws {
namespace {

bool whole(std::string_view text) {
  return utf8_feed(Utf8::start, text) == Utf8::start;
}

TEST(Utf8, AgreesWithSimdjsonOnEveryShortSequence) {
  // All sequences of three bytes, and of four where the first ones leave a choice.
  const unsigned char fourth[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
  unsigned char raw[4];
  for (unsigned value = 0; value < 1u << 24; ++value) {
    raw[0] = uint8_t(value >> 16);
    raw[1] = uint8_t(value >> 8);
    raw[2] = uint8_t(value);
    if (raw[0] < 0x7f || (raw[0] > 0x80 && raw[0] < 0xbf)) continue;  // nothing new
    if ((raw[2] & 0x3f) > 1 && (raw[2] & 0x3f) < 0x3f)
      continue;  // the edges of each range are enough
    auto text = reinterpret_cast<const char*>(raw);
    if (whole({text, 3}) != simdjson::validate_utf8(text, 3)) FAIL() << std::hex << value;
    if (raw[0] < 0xf0) continue;
    for (unsigned char last : fourth) {
      raw[3] = last;
      if (whole({text, 4}) != simdjson::validate_utf8(text, 4)) FAIL() << std::hex << value;
    }
  }
}

TEST(Utf8, TakesEveryCodePointButSurrogates) {
  for (uint32_t c = 0; c <= 0x110000; ++c) {
    std::string text;
    if (c < 0x80) {
      text = {char(c)};
    } else if (c < 0x800) {
      text = {char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))};
    } else if (c < 0x10000) {
      text = {char(0xe0 | c >> 12), char(0x80 | (c >> 6 & 0x3f)), char(0x80 | (c & 0x3f))};
    } else {
      text = {char(0xf0 | c >> 18), char(0x80 | (c >> 12 & 0x3f)), char(0x80 | (c >> 6 & 0x3f)),
              char(0x80 | (c & 0x3f))};
    }
    bool right = !(c >= 0xd800 && c <= 0xdfff) && c <= 0x10ffff;
    ASSERT_EQ(whole(text), right) << std::hex << c;
  }
}

TEST(Utf8, AsciiBeforeAndAfterAWrongByteDoesNotHideIt) {
  for (size_t before = 0; before < 40; ++before) {
    std::string text = std::string(before, 'a') + "\xff" + std::string(20, 'b');
    EXPECT_EQ(utf8_feed(Utf8::start, text), Utf8::wrong) << before;
    text[before] = 'a';
    EXPECT_EQ(utf8_feed(Utf8::start, text), Utf8::start) << before;
  }
}

TEST(Utf8, MeasuresThePrefixOfWholeCharacters) {
  EXPECT_EQ(utf8_prefix_bytes(""), 0u);
  EXPECT_EQ(utf8_prefix_bytes("abc"), 3u);
  EXPECT_EQ(utf8_prefix_bytes("ab\xc3"), 2u);
  EXPECT_EQ(utf8_prefix_bytes("ab\xc3\xa9"), 4u);
  EXPECT_EQ(utf8_prefix_bytes("a\xf0\x9f\x98"), 1u);
  EXPECT_EQ(utf8_prefix_bytes("a\xff"
                              "b"),
            1u);
}

TEST(Mask, IsTheSameForWordsAndBytes) {
  std::string plain(67, '\0');
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = char(i * 11);
  for (size_t offset = 0; offset < 8; ++offset) {
    for (size_t bytes = 0; bytes + offset <= plain.size(); ++bytes) {
      std::string data = plain;
      MaskKey key{1, 2, 3, 4};
      apply_mask(data.data() + offset, bytes, key);
      for (size_t i = 0; i < plain.size(); ++i) {
        bool inside = i >= offset && i < offset + bytes;
        char expected = char(plain[i] ^ (inside ? 1 + (i - offset) % 4 : 0));
        ASSERT_EQ(data[i], expected) << offset << ' ' << bytes << ' ' << i;
      }
      EXPECT_EQ(key[0], 1 + bytes % 4);
      EXPECT_EQ(key[3], 1 + (bytes + 3) % 4);
    }
  }
}

}  // namespace
}  // namespace holdfast::ws
