// worker/sessions/expiry.h - when sessions end because their tokens do, in wall seconds; or because their clients do not come back, in
// milliseconds (resume.h).
//
// Owner: Sessions, Resume. A session is named by its index in the directory; most have no time here and cost nothing.
// Invariants
//   I1  A session has at most one time.
//   I2  Whatever its time was, a session that has ended is forgotten: its index may be another's next.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace holdfast {

class Expiry {
 public:
  // Instead of the one it had.
  void set(uint32_t index, uint64_t wall_s);
  void forget(uint32_t index);
  uint64_t of(uint32_t index) const;  // 0: it never expires
  // The first one whose time has come, and forgets its time.
  std::optional<uint32_t> take_due(uint64_t now_wall_s);

 private:
  std::unordered_map<uint32_t, uint64_t> times_;
  std::set<std::pair<uint64_t, uint32_t>> next_;  // the same, by time
};

}  // namespace holdfast
