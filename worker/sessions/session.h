// worker/sessions/session.h - the addressee of a push: a client's presence, from its hand-shake until its close event is delivered.
//
// Owner: Sessions. A session outlives its connection while its backend still owes it something (messages in the
// queue, the close event); `transport` is null then and nothing can be pushed to it.
//
//   state        event                        -> state        action
//   (none)       hand-shake complete             connecting    claim the directory entry, backend.open()
//   connecting   backend accepts                 open          101, counted as online
//   connecting   backend refuses, client gone    ended         answer the status; backend.gone() unless it refused
//   open         client gone, kick, error ...    ended         leave all channels, directory `closing`, backend.gone()
//   open         connection lost, or idle, of a resumable one  detached  no transport; still a member, still addressed (resume.h)
//   detached     its client comes back           open          it is sent what it missed; the backend hears nothing
//   detached     time over, overflow, kick, stop ended         as from open
//   ended        backend has finished            (none)        Sessions::forget(): directory entry free
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/pooled.h"
#include "conf/config.h"
#include "shm/session_directory.h"
#include "worker/channels/member.h"
#include "worker/sessions/end_reason.h"

namespace holdfast {

class Backend;
class Transport;

// A text that is mostly "", for the size of a pointer.
class RareText {
 public:
  RareText& operator=(std::string_view text) {
    text_ = text.empty() ? nullptr : std::make_unique<std::string>(text);
    return *this;
  }
  std::string_view view() const { return text_ ? *text_ : std::string_view(); }
  bool empty() const { return !text_; }
  bool operator==(std::string_view text) const { return view() == text; }

 private:
  std::unique_ptr<std::string> text_;
};

// A backend's state of a session.
class BackendState {
 public:
  virtual ~BackendState() = default;
};

// Keys and values of Holdfast-Data; bounded by kMaxDataBytes over all keys and values.
using SessionData = std::map<std::string, std::string, std::less<>>;
inline constexpr size_t kMaxDataBytes = 4096;

enum class SessionPhase : uint8_t { connecting, open, ended, detached };  // the numbers travel

struct Session : ChannelMember, Pooled<Session> {
  Session() : ChannelMember(true) {}

  // Beside ChannelMember's flag: there is one of these for every connection.
  SessionPhase phase = SessionPhase::connecting;
  EndReason ended_by = EndReason::connection_lost;
  bool newcomer : 1 = false;   // came ahead of a walk over all sessions (Sessions::begin_walk())
  bool resumable : 1 = false;  // Resume knows of it
  uint16_t ended_code = 0;     // WebSocket close code, 1006 if there was none
  uint16_t listener = 0;       // index in Config::listens
  shm::SessionId id;
  uint32_t messages_in = 0;
  uint32_t messages_out = 0;
  const conf::Listen* listen = nullptr;
  Backend* backend = nullptr;
  Transport* transport = nullptr;
  std::unique_ptr<BackendState> backend_state;
  std::unique_ptr<SessionData> data;
  RareText user;
};

// It can be pushed to, whether it has a client just now or not.
inline bool is_live(const Session& session) {
  return session.phase != SessionPhase::ended;
}

// A member that is a session (ChannelMember::session).
inline Session& session_of(ChannelMember& who) {
  return static_cast<Session&>(who);
}

}  // namespace holdfast
