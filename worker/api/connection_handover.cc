// An API connection on its way to a successor, and what becomes of it there.

#include <utility>

#include "worker/api/connection.h"
#include "worker/api/tls.h"

namespace holdfast {

void ApiConnection::hold(bool on) {
  if (retired() || frozen_ == on) return;
  frozen_ = on;
  settle();
}

// Whoever adds a member carries it here and in restore(), or says why not: number_ is the home's, the row is
// empty, held_ is found out again from what is pending, the place among the strangers too, and nobody winds up a worker that
// hands over.
static_assert(sizeof(ApiConnection) == 368);

handover::ApiRecord ApiConnection::save() const {
  HF_CHECK(row_.empty() && !stepping_);
  handover::ApiRecord r;
  r.pending = pending_.substr(pending_used_);
  r.face = face_->save();
  r.output = save_output();
  r.next_request = next_request_;
  r.unsent_when_armed = unsent_when_armed_;
  r.deadline_ms = at_ms();
  r.phase = uint8_t(phase_);
  // An older version does not know strangers, and will close a connection that waits for the rest of a request.
  r.due = uint8_t(due_ == Due::stranger ? Due::request : due_);
  r.at_eof = at_eof_;
  r.shut = shut_;
  r.kept_alive = kept_alive_;
  r.address = address_;
  r.stranger_since_ms = stranger_since_ms_;
  r.anchor = anchor_.empty() ? tls::kNoAnchor : anchor_;
  return r;
}

std::unique_ptr<ApiConnection> ApiConnection::restore(ApiHome& home, UniqueFd fd,
                                                      handover::ApiRecord&& r) {
  if (r.phase > uint8_t(Phase::lingering) ||  // securing does not move
      r.due > uint8_t(Due::linger))
    return nullptr;
  std::unique_ptr<ApiConnection> connection;
  if (r.tls) {
    connection = TlsConnection<ApiConnection>::restore(home, std::move(fd), std::move(*r.tls));
  } else {
    connection = std::make_unique<ApiConnection>(home, std::move(fd));
  }
  if (!connection->face_->restore(r.face) || !connection->restore_output(r.output)) return nullptr;
  connection->pending_ = std::move(r.pending);
  connection->next_request_ = r.next_request;
  connection->unsent_when_armed_ = size_t(r.unsent_when_armed);
  connection->phase_ = Phase(r.phase);
  connection->due_ = Due(r.due);
  connection->at_eof_ = r.at_eof;
  connection->shut_ = r.shut;
  connection->kept_alive_ = r.kept_alive;
  connection->address_ = r.address;
  connection->stranger_since_ms_ = r.stranger_since_ms;
  connection->anchor_ = std::move(r.anchor);
  // Whether these bytes are a request will be seen: it is as if a turn had ended with them.
  if (!connection->pending_.empty()) connection->held_ = Held::turn;
  if (r.deadline_ms != 0) connection->arm(r.deadline_ms);
  return connection;
}

void ApiConnection::resume() {
  if (phase_ == Phase::lingering) {
    read_on(!at_eof_);
    if (output_empty()) return on_drained();
  }
  if (stranger() && !enter_strangers()) return;
  if (!output_empty()) flush_soon();
  if (phase_ == Phase::serving && withdrawn()) return;
  settle();
}

// What it had shown counts no more, by the configuration of this process. True: it ends, for what it was doing, or because
// there is nothing else it could show. Of an older version (an empty anchor) it is not known what was shown.
bool ApiConnection::withdrawn() {
  api::Face::Grant grant = face_->grant();
  bool vouched = anchor_.empty() || home_.accepts_anchor(anchor_);
  if (vouched && grant == api::Face::Grant::kept) return false;
  runtime_.stats.api_revoked.add();
  if (vouched && grant == api::Face::Grant::withdrawn) return false;
  std::string last = face_->take_leave();
  if (!last.empty()) enqueue(BufferRef::concat(last), Urgency::urgent);
  linger();
  return true;
}

}  // namespace holdfast
