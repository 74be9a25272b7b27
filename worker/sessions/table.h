// worker/sessions/table.h - the sessions of this worker and their entries in the shared directory.
//
// Who writes: this worker only; the directory's rules are in shm/session_directory.h.
// Invariants
//   I1  An entry of the directory is in use exactly as long as its Session exists here.
//   I2  `sessions.online` counts the sessions in phase open, `sessions.detached` those in phase detached.
//   I3  Every Session ends exactly once (end()) and is forgotten exactly once (forget(), by its backend).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/segment.h"
#include "worker/channels/hub.h"
#include "worker/net/runtime.h"
#include "worker/sessions/expiry.h"
#include "worker/sessions/message_rate.h"
#include "worker/sessions/record.h"
#include "worker/sessions/resume.h"
#include "worker/sessions/session.h"

namespace holdfast {

class Payload;

class Sessions {
 public:
  // `predecessor`: of this slot's last process (shm::Slab).
  Sessions(Runtime& runtime, shm::Segment& segment, Hub& hub,
           shm::Slab::Predecessor predecessor = shm::Slab::Predecessor::dead);

  // Handover: the record of a session, and a session made of it. The directory entry stays as it is;
  // restore() writes nothing into the segment. Null: the record makes no sense here.
  handover::SessionRecord save(const Session& session) const;
  Session* restore(handover::SessionRecord&& record, const conf::Listen& listen, uint16_t listener,
                   Backend& backend);
  // The slot is ours now, and all its sessions have been restored. False: they are not those of the directory.
  bool take_over();
  // The directory's note of the listener, for the worker that has to send the close event if this one dies.
  void set_directory_listener(const Session& session, uint16_t index);
  Session* find_any(const shm::SessionId& id);  // in any phase

  // Null: max_sessions is reached (counted).
  Session* create(const conf::Listen& listen, uint16_t listener, Backend& backend,
                  Transport& transport, const shm::SessionOrigin& origin);
  // One that a dead worker left, ended already (crashed).
  Session& adopt(const shm::SessionView& view, const conf::Listen& listen, Backend& backend);
  Session* find(const shm::SessionId& id);  // in any phase but ended

  void opened(Session& session);  // connecting -> open
  // Any -> ended; the client is on its own from here. Calls backend.gone().
  void end(Session& session, EndReason reason, uint16_t code);
  void forget(Session& session);

  // ---- in detach.cc: sessions without a connection (resume.h)
  Resume& resume() { return resume_; }
  // Its connection is lost: does the session wait for its client? False: nothing has changed.
  bool detach(Session& session);
  // Its client has come back by `transport`, from `origin`, whose place among the addresses the session takes over.
  void attach(Session& session, Transport& transport, const shm::SessionOrigin& origin);
  // Ends those whose client has not come back in time, at most kEndSlice; once a turn. True: there are more.
  bool end_overdue(uint64_t now_ms);
  // Ends a live session, whether it has a client or not.
  void hang_up(Session& session, uint16_t code, std::string_view text, EndReason reason);
  // The worker is on its way out: no session is detached any more.
  void detach_no_more() { may_detach_ = false; }

  // False: with this message the session has sent too much in this second.
  bool within_rate(const Session& session, size_t bytes) {
    return rate_.allows(session.id.index() - first_index_, bytes, runtime_.now_ms);
  }

  // Queues one message for the session, or keeps it for a client that may come back. False: it is ending, or its output exceeded the bound and it is closed now
  // (slow consumer); counted.
  bool deliver(Session& session, Payload& payload, Urgency urgency);
  // As Hub's, for a session; traced.
  Hub::Joined join(Session& session, std::string_view channel, bool from_url = false);
  bool leave(Session& session, std::string_view channel);
  // It is not let into a channel that it has asked for, or may not publish there: counted, traced, and its client is told.
  void keep_out(Session& session, std::string_view channel, std::string_view reason);
  // Its token ends then: it is closed, 4401. 0: never.
  void set_expiry(const Session& session, uint64_t wall_s);
  // Closes those whose time has come, at most kEndSlice; once a turn. True: there are more.
  static constexpr size_t kEndSlice = 256;  // about 1 ms
  bool end_expired(uint64_t now_wall_s);
  // These three in data.cc. Binds to a user ("" unbinds); valid_user() or "".
  void set_user(Session& session, std::string_view user);
  // Sets keys of the session's data ("" takes one away); without `merge` all others go. False: it would be more than
  // kMaxDataBytes; then nothing is changed, and it is counted.
  bool set_data(Session& session, const std::vector<std::pair<std::string, std::string>>& pairs,
                bool merge);
  // One after the other; how many were left out because of kMaxDataBytes (counted).
  size_t merge_data(Session& session,
                    const std::vector<std::pair<std::string, std::string>>& pairs);
  // The state that a successor finds if this worker dies.
  void set_owes_close(Session& session, bool owes, bool connect_unanswered = false);
  // Copies the counters the tool shows into the directory.
  void publish_counts(Session& session);

  // All live sessions, given out over several turns while others come and go: those that are there when it begins, and are
  // there still when it comes to them. One walk at a time.
  void begin_walk();
  // Uses up at least one of `left`. Null: no session has this place; check whether the walk is over.
  Session* next_of_walk(size_t& left);
  bool walk_is_over() const { return walk_at_ >= walk_end_; }
  size_t places() const { return by_index_.size(); }

  size_t size() const { return size_; }  // in any phase
  size_t live() const { return live_; }  // in any phase but ended
  const std::vector<shm::SessionView>& orphans() const { return slab_.orphans(); }
  template <class F>
  void for_each(F&& f) {
    for (size_t i = 0; i < by_index_.size(); ++i)
      if (by_index_[i]) f(*by_index_[i]);
  }
  // From place `at` on, which moves on, and once around: until f says false, or all have been looked at.
  template <class F>
  void for_each_live_from(size_t& at, F&& f) {
    for (size_t n = 0; n < by_index_.size(); ++n) {
      if (at >= by_index_.size()) at = 0;
      Session* session = by_index_[at].get();
      if (session != nullptr && session->phase != SessionPhase::ended && !f(*session)) return;
      ++at;
    }
  }
  template <class F>
  void for_each_live(F&& f) {
    for (size_t i = 0; i < by_index_.size(); ++i)
      if (by_index_[i] && by_index_[i]->phase != SessionPhase::ended) f(*by_index_[i]);
  }

 private:
  std::unique_ptr<Session>& at(const shm::SessionId& id);
  bool instance_full() const;

  Runtime& runtime_;
  shm::Segment& segment_;
  Hub& hub_;
  shm::Slab slab_;
  uint32_t first_index_;
  shm::AddressTable addresses_;
  MessageRate rate_;
  Expiry expiry_;
  Resume resume_;
  bool may_detach_ = true;
  std::vector<std::unique_ptr<Session>> by_index_;  // by index in this slot's slab
  // Of the walk under way: the next index, and the one after the last. A session created between them is a newcomer.
  size_t walk_at_ = 0, walk_end_ = 0;
  size_t size_ = 0;
  size_t live_ = 0;
};

}  // namespace holdfast
