#include "base/position.h"

#include <charconv>

namespace holdfast {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string text_of(const Position& position) {
  std::string text(kEpochChars, 'A');
  for (size_t i = 0; i < kEpochChars; ++i)
    text[i] = kAlphabet[position.epoch >> (kEpochBits - 6 * (i + 1)) & 63];
  return text + ':' + std::to_string(position.offset);
}

std::optional<Position> read_position(std::string_view text) {
  if (text.size() < kEpochChars + 2 || text.size() > kMaxPositionChars || text[kEpochChars] != ':')
    return {};
  Position position;
  for (char c : text.substr(0, kEpochChars)) {
    size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return {};
    position.epoch = position.epoch << 6 | digit;
  }
  std::string_view digits = text.substr(kEpochChars + 1);
  if (digits.size() > 1 && digits.front() == '0') return {};
  const char* end = digits.data() + digits.size();
  auto [at, error] = std::from_chars(digits.data(), end, position.offset);
  if (error != std::errc() || at != end || !position.known()) return {};
  return position;
}

}  // namespace holdfast
