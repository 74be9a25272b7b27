// ctl/sessions.h - `holdfastctl sessions` and `session ID`, read from the session directory.
//
// Walks each slab only up to its high-water mark: entries above it have never been used, and
// reading them would make the kernel find memory for them. Every entry is a consistent copy
// (SessionDirectory::view); the list as a whole is not one instant: a session that opens or closes
// during the walk may be in it or not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "ctl/options.h"
#include "shm/segment.h"

namespace holdfast::ctl {

struct SessionList {
  std::vector<shm::SessionView> sessions;
  bool more = false;  // there are others beyond the limit
};

// The first `limit` sessions in directory order; 0: all.
SessionList list_sessions(const shm::Segment& segment, uint32_t limit);
// One session by its printed id. Errc::bad_input: no id. Errc::gone: no such session here.
Result<shm::SessionView> find_session(const shm::Segment& segment, const std::string& id);

std::string sessions_text(const SessionList& list, uint64_t wall_now_ms, bool colour);
std::string sessions_json(const SessionList& list);
std::string session_text(const shm::SessionView& session, uint64_t wall_now_ms);
std::string session_json(const shm::SessionView& session);
// "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix".
std::string peer_text(const shm::SessionOrigin& origin);

ExitCode run_sessions(const Options& options);
ExitCode run_session(const Options& options);

}  // namespace holdfast::ctl
