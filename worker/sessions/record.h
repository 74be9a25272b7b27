// worker/sessions/record.h - a session, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/fields.h"
#include "worker/net/output_record.h"

namespace holdfast::handover {

struct MembershipRecord {
  std::string channel;  // as the Hub names it: a user's begins with NUL
  bool from_url = false;
  // It waits for what it has missed (channels/catch_up.h).
  bool catching_up = false;
  uint64_t since_epoch = 0;
  uint64_t since_offset = 0;
};
template <class Archive>
void fields(Archive& a, MembershipRecord& r) {
  auto& [channel, from_url, catching_up, since_epoch, since_offset] = r;
  a(1, channel);
  a(2, from_url);
  a(3, catching_up);
  a(4, since_epoch);
  a(5, since_offset);
}

// A session, with or without a client: its directory entry stays where it is.
struct SessionRecord {
  uint64_t id_hi = 0;
  uint64_t id_lo = 0;
  uint8_t phase = 0;     // SessionPhase
  uint8_t ended_by = 0;  // EndReason
  uint16_t ended_code = 0;
  uint16_t listener = 0;  // index in the predecessor's Config::listens
  uint32_t messages_in = 0;
  uint32_t messages_out = 0;
  std::string backend;        // its name
  std::string backend_state;  // a record of the backend's own
  std::string user;
  std::vector<std::pair<std::string, std::string>> data;
  std::vector<MembershipRecord> memberships;
  uint64_t expires_wall_s = 0;     // 0: never
  uint64_t detached_until_ms = 0;  // on the process clock; 0: it has a client, or has ended
  std::string resume_key;          // ResumeKey; "": it cannot be resumed
  std::string resume_user;         // of the token it began with
  uint64_t resume_sent = 0;
  uint64_t resume_certain = 0;  // sent when it was detached
  std::vector<BufferRecord> resume_tail;
  std::string resume_subprotocol;
};
template <class Archive>
void fields(Archive& a, SessionRecord& r) {
  auto& [id_hi, id_lo, phase, ended_by, ended_code, listener, messages_in, messages_out, backend,
         backend_state, user, data, memberships, expires_wall_s, detached_until_ms, resume_key,
         resume_user, resume_sent, resume_certain, resume_tail, resume_subprotocol] = r;
  a(1, id_hi);
  a(2, id_lo);
  a(3, phase);
  a(4, ended_by);
  a(5, ended_code);
  a(6, listener);
  a(7, messages_in);
  a(8, messages_out);
  a(9, backend);
  a(10, backend_state);
  a(11, user);
  a(12, data);
  a(13, memberships);
  a(14, expires_wall_s);
  // Without it nobody would ever end the session.
  a(15 | kNeeded, detached_until_ms);
  a(16, resume_key);
  a(17, resume_user);
  a(18, resume_sent);
  a(19, resume_certain);
  a(20, resume_tail);
  a(21, resume_subprotocol);
}

}  // namespace holdfast::handover
