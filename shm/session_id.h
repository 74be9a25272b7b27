// shm/session_id.h - the name of a session, by which a push addresses it.
//
//   0               16                              48                                      127
//   +---------------+-------------------------------+---------------------------------------+
//   | node          | directory index               | random, from getrandom(2)             |
//   +---------------+-------------------------------+---------------------------------------+
//
// Printed as 32 lower-case hex digits; the 22-digit base64url form (RFC 4648 section 5, no padding)
// is accepted as well. The index makes a lookup one array access, the random part makes it
// unguessable and never reused.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::shm {

struct SessionId {
  uint64_t hi = 0;  // node:16 | index:32 | random:16
  uint64_t lo = 0;  // random:64

  static SessionId make(uint16_t node, uint32_t index);  // draws the random part
  // 32 hex digits (either case) or 22 base64url digits; empty answer for anything else.
  static std::optional<SessionId> parse(std::string_view text);

  uint16_t node() const { return uint16_t(hi >> 48); }
  uint32_t index() const { return uint32_t(hi >> 16); }
  std::string hex() const;
  std::string base64url() const;
  bool operator==(const SessionId&) const = default;
};

}  // namespace holdfast::shm

template <>
struct std::hash<holdfast::shm::SessionId> {
  size_t operator()(const holdfast::shm::SessionId& id) const noexcept { return id.lo; }
};
