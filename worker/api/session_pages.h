// worker/api/session_pages.h - the list of all sessions, page by page, out of the directory in the
// segment.
//
// Any worker answers for the whole instance, also for a worker that hangs. The order is that of the
// directory: a session stays at its place as long as it lives. So one that is connected from the
// first page to the last is in exactly one of them; one that comes or goes meanwhile is in one or none.
// One page looks at no more than kMaxScan entries, so that a worker's turn stays short however few
// of a million entries fit: a page may be short, or empty, and still not be the last.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "shm/segment.h"
#include "wire/json/writer.h"

namespace holdfast::api {

inline constexpr uint32_t kMaxScan = 16'384;

struct SessionPage {
  std::vector<shm::SessionView> sessions;  // connecting or open
  std::optional<uint64_t> next;            // where the next page begins; empty: this is the last
};

// At most `limit` sessions, from place `from` on. A prefix that is not empty: only those bound to a
// user whose name begins with it.
SessionPage read_sessions(const shm::SessionDirectory& directory, uint64_t from, uint32_t limit,
                          std::string_view user_prefix);

// The meaning of a listener's number in the directory depends on the configuration of the session's
// worker; ours is only known to be the same if the generation is. Empty if it is not.
std::string_view listener_of(const shm::Segment& segment, const conf::Config& config,
                             uint16_t our_slot, const shm::SessionView& view);

// "connecting", "open", or "detached": open, but its client is away.
std::string_view state_name(const shm::SessionView& view);

// What the directory knows of a session, as members of the open object. An empty listener is left
// out.
void write_session(json::Writer& json, const shm::SessionView& view, std::string_view listener);

}  // namespace holdfast::api
