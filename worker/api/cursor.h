// worker/api/cursor.h - where a page of a list ended, as a text that the caller hands back for the
// next one.
//
// To the caller it is opaque. It holds no state of ours: any worker, also of a later generation, can
// go on with it. It bears a check over the list it belongs to (Listing), so one of another list, or a
// damaged one, is refused and not misread.
//
//   base64url, no padding:
//   0               4                               12
//   +---------------+-------------------------------+-----------------------+
//   | check         | position                      | name ...              |
//   +---------------+-------------------------------+-----------------------+
//   big-endian; check: the low half of hash_name() over kind, scope, and all that follows it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::api {

// Which list: its kind, and what it is the list of (a prefix, a user, a channel).
struct Listing {
  enum class Kind : char { sessions = 's', users = 'u', channels = 'c', user = 'm', channel = 'n' };
  Kind kind;
  std::string_view scope;
};

// The page that follows begins after this place; a list uses one of the two.
struct Cursor {
  uint64_t position = 0;
  std::string name;
  bool operator==(const Cursor&) const = default;
};

std::string write_cursor(const Listing& listing, const Cursor& cursor);
// Empty if it is not a cursor of that list.
std::optional<Cursor> read_cursor(const Listing& listing, std::string_view text);

}  // namespace holdfast::api
