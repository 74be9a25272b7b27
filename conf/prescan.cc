#include "conf/prescan.h"

#include <algorithm>

namespace holdfast::conf {

namespace {

constexpr unsigned kMaxDepth = 32;
constexpr unsigned kMaxDotsInLine = 64;

// Where byte `at` of `text` is.
Place place_of(std::string_view text, size_t at) {
  Place place{1, 1};
  for (char c : text.substr(0, at)) {
    place.column = c == '\n' ? 1 : place.column + 1;
    if (c == '\n') ++place.line;
  }
  return place;
}

// Length of the UTF-8 sequence at the start of `text` (RFC 3629: no surrogates, nothing over-long),
// or 0.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(i < text.size() ? text[i] : 0); };
  auto tail = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  unsigned char a = byte(0), b = byte(1);
  if (a < 0x80) return 1;
  if (a < 0xc2 || a > 0xf4 || !tail(1)) return 0;
  if (a < 0xe0) return 2;
  bool over_long = (a == 0xe0 && b < 0xa0) || (a == 0xf0 && b < 0x90);
  bool beyond = (a == 0xed && b > 0x9f) || (a == 0xf4 && b > 0x8f);
  if (over_long || beyond || !tail(2)) return 0;
  if (a < 0xf0) return 3;
  return tail(3) ? 4 : 0;
}

std::optional<size_t> first_bad_byte(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t length = utf8_length(text.substr(at));
    if (length == 0 || text[at] == '\0') return at;
    at += length;
  }
  return {};
}

// Past the string that starts at `at` with a quote; past the line (or the text) where it does not
// end.
size_t skip_string(std::string_view text, size_t at) {
  char quote = text[at];
  bool escapes = quote == '"';
  bool triple = text.substr(at, 3) == std::string(3, quote);
  at += triple ? 3 : 1;
  while (at < text.size()) {
    if (escapes && text[at] == '\\') {
      at += 2;
    } else if (triple && text.substr(at, 3) == std::string(3, quote)) {
      return at + 3;
    } else if (!triple && (text[at] == quote || text[at] == '\n')) {
      return at + (text[at] == quote ? 1 : 0);
    } else {
      ++at;
    }
  }
  return text.size();
}

// The byte at which brackets or dots go too deep.
std::optional<size_t> first_too_deep(std::string_view text) {
  unsigned depth = 0, dots = 0;
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    if (c == '"' || c == '\'') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '\n') dots = 0;
    if (c == '.') ++dots;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kMaxDepth || dots > kMaxDotsInLine) return at;
    ++at;
  }
  return {};
}

}  // namespace

std::optional<Objection> prescan(std::string_view toml) {
  if (auto at = first_bad_byte(toml)) {
    return Objection{place_of(toml, *at), "a byte that is not text", "UTF-8 without NUL"};
  }
  if (auto at = first_too_deep(toml)) {
    return Objection{place_of(toml, *at), "nested too deeply",
                     "brackets at most 32 deep, keys of at most 64 parts"};
  }
  return {};
}

}  // namespace holdfast::conf
