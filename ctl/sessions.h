// ctl/sessions.h - `holdfastctl sessions`: read from the session directory, printed as it is read.
//
// Walks each slab only up to its high-water mark: entries above it have never been used, and
// reading them would make the kernel find memory for them. Every entry is a consistent copy
// (SessionDirectory::view); the list as a whole is not one instant: a session that opens or closes
// during the walk may be in it or not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/json.h"
#include "ctl/options.h"
#include "ctl/table.h"
#include "shm/segment.h"

namespace holdfast::ctl {

// Goes through the directory in its order.
class SessionWalk {
 public:
  // Only sessions of users whose name begins with `user_prefix`; at most `limit` (0: all).
  SessionWalk(const shm::Segment& segment, std::string user_prefix, uint64_t limit)
      : directory_(segment.directory()), prefix_(std::move(user_prefix)), limit_(limit) {}
  // The next ones, at most `most`; none after the last.
  std::vector<shm::SessionView> next(size_t most);
  // After the last: there are others beyond the limit.
  bool more() const { return more_; }

 private:
  shm::SessionDirectory directory_;
  std::string prefix_;
  uint64_t limit_;
  uint32_t slot_ = 0, index_ = 0;  // where it goes on
  uint64_t seen_ = 0;
  bool more_ = false;
};

Table sessions_table();
void add_session(Table& table, const shm::SessionView& session, uint64_t wall_now_ms);
// The directory's data, as members of the open object, named as in the API.
void write_session(Json& json, const shm::SessionView& session);
std::string session_json(const shm::SessionView& session);

std::string_view state_name(const shm::Control& control);
// The close event is still to be delivered; for an open session this is not shown.
bool owes_close(const shm::SessionView& session);
std::string age_text(const shm::SessionView& session, uint64_t wall_now_ms);
// "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix".
std::string peer_text(const shm::SessionOrigin& origin);

ExitCode run_sessions(const Options& options);

}  // namespace holdfast::ctl
