#include "worker/api_connection.h"

#include <algorithm>
#include <cstring>

#include "worker/keep_alive.h"
#include "worker/tls_connection.h"

namespace holdfast {

void ApiHome::on_reply(uint64_t connection, uint64_t request, BufferRef bytes) {
  auto it = connections.find(connection);
  if (it != connections.end()) it->second->on_reply(request, std::move(bytes));
}

void ApiHome::hold(bool on) {
  held = on;
  std::vector<ApiConnection*> all;  // going on may end one
  for (const auto& [number, connection] : connections) all.push_back(connection);
  for (ApiConnection* connection : all) connection->hold(on);
}

bool ApiHome::settled() const {
  return std::all_of(connections.begin(), connections.end(), [](const auto& entry) {
    return entry.second->retired() || entry.second->row_.empty();
  });
}

ApiConnection::ApiConnection(ApiHome& home, UniqueFd fd)
    : Connection(home.runtime, home.table, std::move(fd)),
      home_(home),
      number_(home.next_number++),
      face_(home.make_face(home.context, *this)),
      frozen_(home.held) {
  home_.connections.emplace(number_, this);
}

ApiConnection::~ApiConnection() {
  home_.connections.erase(number_);
}

std::unique_ptr<ApiConnection> ApiConnection::make(ApiHome& home, UniqueFd fd) {
  if (home.tls != nullptr)
    return std::make_unique<TlsConnection<ApiConnection>>(home, std::move(fd));
  return std::make_unique<ApiConnection>(home, std::move(fd));
}

void ApiConnection::start() {
  proceed({});
}

void ApiConnection::proceed(std::string_view) {
  phase_ = Phase::serving;
  settle();
}

void ApiConnection::secure() {
  phase_ = Phase::securing;
  arm(runtime_.now_ms + runtime_.config.limits.handshake_timeout_ms);
  read_on(true);
}

std::optional<in6_addr> ApiConnection::newcomer() const {
  sockaddr_storage raw{};
  socklen_t bytes = sizeof raw;
  if (getpeername(fd(), reinterpret_cast<sockaddr*>(&raw), &bytes) == -1) return {};
  in6_addr address{};
  if (raw.ss_family == AF_INET6) return reinterpret_cast<const sockaddr_in6*>(&raw)->sin6_addr;
  if (raw.ss_family != AF_INET) return {};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  std::memcpy(&address.s6_addr[12], &reinterpret_cast<const sockaddr_in*>(&raw)->sin_addr, 4);
  return address;
}

// ---- Requests

void ApiConnection::on_bytes(std::span<char> bytes) {
  if (phase_ != Phase::serving) return;
  if (frozen_) {
    pending_.append(bytes.data(), bytes.size());
    held_ = Held::turn;
    return read_on(false);
  }
  if (pending_.empty()) {  // the common case: whole requests, carried out where they were read
    size_t used = take_requests({bytes.data(), bytes.size()});
    pending_.assign(bytes.data() + used, bytes.size() - used);
  } else {
    pending_.append(bytes.data(), bytes.size());
    work_off_pending();
  }
  settle();
}

void ApiConnection::work_off_pending() {
  pending_used_ += take_requests(std::string_view(pending_).substr(pending_used_));
  if (pending_used_ < pending_.size() && pending_used_ < pending_.size() / 2) return;
  pending_.erase(0, pending_used_);
  pending_used_ = 0;
  if (pending_.empty() && pending_.capacity() > 64 * 1024) pending_.shrink_to_fit();
}

// How many of the bytes are used up; held_ says why it has stopped.
size_t ApiConnection::take_requests(std::string_view bytes) {
  size_t used = 0;
  held_ = Held::no;
  for (unsigned n = 0; used < bytes.size() && phase_ == Phase::serving && !retired(); ++n) {
    if (n == kTurnRequests || pushes_wait()) {
      held_ = Held::turn;
      break;
    }
    if (!has_room()) {
      held_ = Held::room;
      break;
    }
    size_t taken = 0;
    bool goes_on = take_one(bytes.substr(used), &taken);
    used += taken;
    if (!goes_on) break;
  }
  return phase_ == Phase::serving ? used : bytes.size();
}

// It has asked for so much that is being handed out: the next is begun when there is less.
bool ApiConnection::pushes_wait() const {
  const Router* router = home_.context.router;
  return router != nullptr &&
         router->waiting(api::Reply(home_, number_, 0).source()) >= kMostWaiting;
}

// False: not one more now.
bool ApiConnection::take_one(std::string_view bytes, size_t* used) {
  using Step = api::Face::Step;
  stepping_ = true;
  answered_ = false;
  Step step = face_->step(bytes, row_.empty(), api::Reply(home_, number_, next_request_), used);
  stepping_ = false;
  switch (step) {
    case Step::need_more:
      return false;
    case Step::wait:
      held_ = Held::quiet;
      return false;
    case Step::silent:
      ++next_request_;
      return true;
    case Step::last:
      phase_ = Phase::ending;
      break;
    case Step::taken:
      break;
  }
  if (!answered_) row_.push_back({next_request_, {}});
  ++next_request_;
  return true;
}

bool ApiConnection::can_go_on() const {
  if (frozen_) return false;
  switch (held_) {
    case Held::no:
      return false;
    case Held::turn:
      return true;
    case Held::room:
      return has_room();
    case Held::quiet:
      return row_.empty();
  }
  return false;
}

bool ApiConnection::half_request() const {
  return held_ == Held::no && (!pending_.empty() || face_->in_request());
}

// After everything that may have changed what is to be done next.
void ApiConnection::settle() {
  if (retired() || phase_ == Phase::lingering || phase_ == Phase::securing) return;
  if (frozen_) return read_on(false);
  if (at_eof_ && held_ == Held::no) phase_ = Phase::ending;
  if (phase_ == Phase::ending) {
    if (row_.empty()) return linger();
    return read_on(false);
  }
  if (can_go_on())
    flush_soon();  // in this turn, so reading need not pause yet
  else
    read_on(held_ == Held::no && !at_eof_);
  arm_for(held_ == Held::room ? Due::sending : half_request() ? Due::request : Due::idle);
  if (winding_up_) leave_if_idle();
}

bool ApiConnection::before_flush() {
  if (phase_ == Phase::serving && can_go_on()) {
    work_off_pending();
    // One more round is the next turn's; nothing more is read meanwhile.
    if (held_ != Held::no && !retired()) read_on(false);
    settle();
  }
  return !retired() && backlog() == 0;
}

void ApiConnection::on_drained() {
  if (phase_ != Phase::lingering) return settle();
  if (!std::exchange(shut_, true)) {
    arm_for(Due::linger);
    shut_down_writing();
  }
  if (at_eof_) on_end();
}

// ---- Answers

void ApiConnection::on_reply(uint64_t request, BufferRef&& bytes) {
  if (retired()) return;
  if (stepping_ && request == next_request_) {
    if (std::exchange(answered_, true)) return;
    if (row_.empty()) return enqueue(std::move(bytes), Urgency::urgent);
    row_bytes_ += bytes.size();
    row_.push_back({request, std::move(bytes)});
    return;
  }
  auto place = std::lower_bound(row_.begin(), row_.end(), request,
                                [](const Place& p, uint64_t number) { return p.request < number; });
  if (place == row_.end() || place->request != request || place->answer) return;
  row_bytes_ += bytes.size();
  place->answer = std::move(bytes);
  if (place == row_.begin()) release();
}

// I1
void ApiConnection::release() {
  while (!row_.empty() && row_.front().answer) {
    row_bytes_ -= row_.front().answer.size();
    enqueue(std::move(row_.front().answer), Urgency::urgent);
    row_.pop_front();
  }
  if (!stepping_) settle();
}

void ApiConnection::push(BufferRef bytes, Urgency urgency) {
  if (retired() || phase_ == Phase::lingering) return;  // nothing comes behind a farewell
  auto last =
      std::find_if(row_.rbegin(), row_.rend(), [](const Place& p) { return bool(p.answer); });
  if (last == row_.rend()) return enqueue(std::move(bytes), urgency);
  row_bytes_ += bytes.size();
  row_.insert(last.base(), {last->request, std::move(bytes)});  // I2
}

// ---- Handover

void ApiConnection::hold(bool on) {
  if (retired() || frozen_ == on) return;
  frozen_ = on;
  settle();
}

// Whoever adds a member carries it here and in restore(), or says why not: number_ is the home's, the row is
// empty, held_ is found out again from what is pending, and nobody winds up a worker that hands over.
static_assert(sizeof(ApiConnection) == 312);

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
  r.due = uint8_t(due_);
  r.at_eof = at_eof_;
  r.shut = shut_;
  r.kept_alive = kept_alive_;
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
  if (!output_empty()) flush_soon();
  settle();
}

// ---- Ending

void ApiConnection::on_end_of_input() {
  at_eof_ = true;
  read_on(false);
  if (phase_ != Phase::lingering) return settle();
  if (output_empty()) on_end();
}

void ApiConnection::linger() {
  phase_ = Phase::lingering;
  read_on(!at_eof_);
  arm_for(Due::sending);
  if (output_empty()) on_drained();
}

void ApiConnection::wind_up(WindUp what) {
  winding_up_ = true;
  all_go_ |= what == WindUp::all;
  if (phase_ == Phase::securing) return on_end();
  leave_if_idle();
}

void ApiConnection::leave_if_idle() {
  if (phase_ != Phase::serving || !row_.empty() || held_ != Held::no || half_request()) return;
  bool clients = runtime_.stats.sessions_online.get() > 0;
  if (face_->wants_to_stay() && !all_go_ && clients) return;
  std::string_view farewell = face_->farewell();
  if (!farewell.empty()) enqueue(BufferRef::concat(farewell), Urgency::urgent);
  if (output_empty()) return on_end();  // nothing it could miss
  linger();
}

// ---- Time

// A deadline for the same thing goes on; only idleness begins anew.
void ApiConnection::arm_for(Due due) {
  if (due == due_ && due != Due::idle && armed()) return;
  due_ = due;
  unsent_when_armed_ = unsent();
  uint64_t ms = due == Due::request   ? kRequestMs
                : due == Due::sending ? kSendMs
                : due == Due::linger  ? kLingerMs
                                      : face_->idle_ms();
  if (ms > 0) return arm(runtime_.now_ms + ms);
  keep_alive();
  disarm();
}

void ApiConnection::on_deadline() {
  if (phase_ == Phase::securing) {
    runtime_.stats.handshakes_timed_out.add();
    return on_end();
  }
  bool owed = !row_.empty();  // the router's deadline answers them
  if (owed || frozen_) return arm(runtime_.now_ms + kOwedMs);
  if (due_ == Due::sending && unsent() < unsent_when_armed_) return arm_for(Due::sending);
  on_end();
}

// Who may stay for ever.
void ApiConnection::keep_alive() {
  if (!std::exchange(kept_alive_, true)) holdfast::keep_alive(fd());
}

}  // namespace holdfast
