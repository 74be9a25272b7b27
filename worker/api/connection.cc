#include "worker/api/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/api/tls.h"
#include "worker/net/address_text.h"
#include "worker/net/keep_alive.h"
#include "worker/net/tls/anchors.h"

namespace holdfast {

ApiConnection::ApiConnection(ApiHome& home, UniqueFd fd)
    : Connection(home.runtime, home.table, std::move(fd)),
      home_(home),
      number_(home.next_number++),
      face_(home.make_face(home.context, *this)),
      frozen_(home.held) {
  asks_before_flush_ = true;
  home_.connections.emplace(number_, this);
}

ApiConnection::~ApiConnection() {
  runtime_.stats.bytes_unsent.sub(row_bytes_);
  home_.connections.erase(number_);
}

std::unique_ptr<ApiConnection> ApiConnection::make(ApiHome& home, UniqueFd fd) {
  if (home.tls != nullptr)
    return std::make_unique<TlsConnection<ApiConnection>>(home, std::move(fd));
  return std::make_unique<ApiConnection>(home, std::move(fd));
}

void ApiConnection::start(const shm::SessionOrigin& origin) {
  if (!is_unix(origin)) address_ = Strangers::key_of(origin.peer);
  proceed({});
}

void ApiConnection::proceed(std::string_view) {
  phase_ = Phase::serving;
  settle();
}

void ApiConnection::secure() {
  phase_ = Phase::securing;
  if (!judge_standing()) return;
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

// ---- Strangers

// Whoever has become known, or a stranger again. False: it is gone, for its address has too many.
bool ApiConnection::judge_standing() {
  bool now = phase_ == Phase::securing || !face_->knows_caller();
  if (now == stranger()) return true;
  if (now) {
    stranger_since_ms_ = std::max<uint64_t>(runtime_.now_ms, 1);
    return enter_strangers();
  }
  stranger_since_ms_ = 0;
  if (home_.strangers != nullptr) home_.strangers->leave(stranger_place_);
  return true;
}

bool ApiConnection::enter_strangers() {
  if (home_.strangers == nullptr) return true;
  ApiConnection* too_long = nullptr;
  stranger_place_ = home_.strangers->enter(address_, *this, &too_long);
  if (stranger_place_ != 0 && too_long == nullptr) return true;
  runtime_.stats.api_address_connections.add();
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_warn("API connection ended listener={} reason=\"too many without a token{}\" times={}",
             home_.context.api->address.text, too_long == nullptr ? " of its address" : "", n);
  (too_long == nullptr ? this : too_long)->retire();
  return too_long != nullptr;
}

void ApiConnection::on_retire() {
  if (stranger() && home_.strangers != nullptr) home_.strangers->leave(stranger_place_);
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
    runtime_.budget.begin_share(TurnBudget::kFirstShare);
    size_t used = take_requests({bytes.data(), bytes.size()});
    pending_.assign(bytes.data() + used, bytes.size() - used);
  } else {
    pending_.append(bytes.data(), bytes.size());
    work_off_pending();
  }
  settle();
}

void ApiConnection::work_off_pending() {
  runtime_.budget.begin_share();
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
    if (n == kTurnRequests || pushes_wait() || runtime_.budget.share_spent() ||
        runtime_.budget.congested()) {
      held_ = Held::turn;
      runtime_.stats.loop_cut_short.add();
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
  runtime_.budget.spend(TurnBudget::kApiRequest);
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
  if (stranger() && face_->idle_ms() > 0)
    stranger_since_ms_ = std::max<uint64_t>(runtime_.now_ms, 1);
  return true;
}

bool ApiConnection::has_room() const {
  if (row_.size() >= kMaxRow) return false;
  size_t bytes = unsent();
  if (bytes < kMaxUnsentOfStranger) return true;
  if (stranger()) return false;
  return bytes < (face_->wants_to_stay() ? kMaxUnsentOfSubscriber : kMaxUnsent);
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
  if (!judge_standing()) return;
  if (at_eof_ && held_ == Held::no) phase_ = Phase::ending;
  if (phase_ == Phase::ending) {
    if (row_.empty()) return linger();
    return read_on(false);
  }
  if (can_go_on())
    flush_soon();  // in this turn, so reading need not pause yet
  else
    read_on(held_ == Held::no && !at_eof_);
  // A successor finds out only now that there is no room: the time that was left goes on.
  bool stuck = held_ == Held::room || (held_ == Held::turn && due_ == Due::sending);
  arm_for(stuck ? Due::sending : half_request() ? Due::request : Due::idle);
  if (winding_up_) leave_if_idle();
}

bool ApiConnection::before_flush() {
  if (phase_ == Phase::serving && can_go_on()) {
    if (held_ == Held::room) due_ = Due::idle;  // it has taken something: its time begins anew
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
    add_to_row(bytes.size());
    row_.push_back({request, std::move(bytes)});
    return;
  }
  auto place = std::lower_bound(row_.begin(), row_.end(), request,
                                [](const Place& p, uint64_t number) { return p.request < number; });
  if (place == row_.end() || place->request != request || place->answer) return;
  add_to_row(bytes.size());
  place->answer = std::move(bytes);
  if (place == row_.begin()) release();
}

void ApiConnection::add_to_row(size_t bytes) {
  row_bytes_ += bytes + OutputQueue::kEntryBytes;
  runtime_.stats.bytes_unsent.add(bytes + OutputQueue::kEntryBytes);
}

void ApiConnection::take_from_row(size_t bytes) {
  row_bytes_ -= bytes + OutputQueue::kEntryBytes;
  runtime_.stats.bytes_unsent.sub(bytes + OutputQueue::kEntryBytes);
}

// I1
void ApiConnection::release() {
  while (!row_.empty() && row_.front().answer) {
    take_from_row(row_.front().answer.size());
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
  add_to_row(bytes.size());
  row_.insert(last.base(), {last->request, std::move(bytes)});  // I2
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
  if (stranger() && phase_ == Phase::serving) {
    due_ = Due::stranger;
    return arm(stranger_since_ms_ + runtime_.config.limits.handshake_timeout_ms);
  }
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
    runtime_.stats.api_timed_out.add();
    return on_end();
  }
  bool owed = !row_.empty();  // the router's deadline answers them
  if (owed || frozen_) return arm(runtime_.now_ms + kOwedMs);
  if (due_ == Due::sending && unsent() < unsent_when_armed_) return arm_for(Due::sending);
  if (due_ != Due::linger && (due_ != Due::idle || backlog() > 0))
    runtime_.stats.api_timed_out.add();
  on_end();
}

void ApiConnection::shed() {
  runtime_.stats.api_shed.add();
  forget_output();
  row_.clear();
  runtime_.stats.bytes_unsent.sub(std::exchange(row_bytes_, 0));
  retire();
}

// Who may stay for ever.
void ApiConnection::keep_alive() {
  if (!std::exchange(kept_alive_, true)) holdfast::keep_alive(fd());
}

}  // namespace holdfast
