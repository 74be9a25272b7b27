// base/position.h - a place in a channel's stream of messages: epoch and offset.
//
// Offsets count 1, 2, 3 ... without holes. The epoch changes when a stream is lost or forgotten, so that a position of another life of
// the channel is never taken for one of this.
//
// As text `EPOCH:OFFSET`: the epoch as eight characters of base64url (RFC 4648 section 5: 48 bits), the offset in decimal without
// leading zeros. Example: `k3J9aZ_0:42`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

struct Position {
  uint64_t epoch = 0;   // below 2^48; 0: none
  uint64_t offset = 0;  // of the last message that was seen; 0: before the first
  bool operator==(const Position&) const = default;
  bool known() const { return epoch != 0; }
};

inline constexpr unsigned kEpochBits = 48;
inline constexpr size_t kEpochChars = kEpochBits / 6;
inline constexpr size_t kMaxPositionChars = kEpochChars + 1 + 20;

std::string text_of(const Position& position);
// Nothing: it is no position.
std::optional<Position> read_position(std::string_view text);

}  // namespace holdfast
