// wire/sse/positions.h - where a reader stands in the streams of several channels, as one id of an event, which it sends back as Last-Event-ID.
//
//   one channel      EPOCH:OFFSET (base/position.h), the same for all readers of the channel
//   several          CHANNEL=EPOCH:OFFSET for each, with & between them, names percent-encoded (RFC 3986: all but A-Z a-z 0-9 - _ . ~)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/position.h"

namespace holdfast::sse {

// By channel. One that was read alone, as EPOCH:OFFSET, has the name "": it is of any channel, for an epoch is another in each.
using Positions = std::vector<std::pair<std::string, Position>>;

// Less than the 8 KiB that proxies take for the line of a header.
inline constexpr size_t kMaxIdBytes = 6 * 1024;

// Of several channels; those that are unknown are left out. "": it would be longer than kMaxIdBytes.
std::string id_of(const Positions& positions);
// Nothing: it cannot be read, is longer than kMaxIdBytes, has more than `most` positions, or a channel twice. "" is none.
std::optional<Positions> read_positions(std::string_view id, size_t most);

// Of the channel; null: there is none.
const Position* find(const Positions& positions, std::string_view channel);

}  // namespace holdfast::sse
