// Sessions without a connection, until their clients come back.

#include <algorithm>

#include "worker/sessions/table.h"
#include "worker/sessions/trace.h"
#include "worker/sessions/transport.h"

namespace holdfast {

bool Sessions::detach(Session& session) {
  uint64_t window_ms = session.listen->resume_ms;
  bool waits = may_detach_ && session.resumable && session.phase == SessionPhase::open;
  if (!waits || window_ms == 0) return false;  // a reload may have taken the window away
  // A connection costs its owner a descriptor; one that waits costs nobody else anything, so there must be room beside them.
  uint64_t most = std::max(
      runtime_.config.limits.max_sessions / 4 / std::max(runtime_.config.server.workers, 1u), 1u);
  if (runtime_.stats.sessions_detached.get() >= most) {
    runtime_.stats.resume_no_room.add();
    return false;
  }
  session.phase = SessionPhase::detached;
  session.transport = nullptr;
  runtime_.stats.sessions_online.sub();
  runtime_.stats.sessions_detached.add();
  // Its address stays counted, or one could have any number of sessions that wait.
  slab_.set_detached(session.id, true);
  publish_counts(session);
  resume_.detached(session, runtime_.now_ms + window_ms);
  trace(runtime_.tracer, {.event = "detach", .session = &session});
  return true;
}

void Sessions::attach(Session& session, Transport& transport, const shm::SessionOrigin& origin) {
  if (session.phase == SessionPhase::detached) {
    runtime_.stats.sessions_detached.sub();
    runtime_.stats.sessions_online.add();
    slab_.set_detached(session.id, false);
    resume_.attached(session);
  }
  addresses_.leave(runtime_.slot, slab_.take_address_place(session.id));
  session.phase = SessionPhase::open;
  session.transport = &transport;
  slab_.set_peer(session.id, origin);
  trace(runtime_.tracer, {.event = "resume", .session = &session});
}

bool Sessions::end_overdue(uint64_t now_ms) {
  for (size_t n = 0; n < kEndSlice; ++n) {
    std::optional<uint32_t> index = resume_.take_due(now_ms);
    if (!index) return false;
    end(*by_index_[*index - first_index_], EndReason::connection_lost, 1006);
  }
  return true;
}

void Sessions::hang_up(Session& session, uint16_t code, std::string_view text, EndReason reason) {
  if (session.transport != nullptr) return session.transport->close(code, text, reason);
  if (session.phase == SessionPhase::detached) end(session, reason, code);
}

}  // namespace holdfast
