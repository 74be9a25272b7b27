#include "worker/clients/client.h"

#include "worker/clients/tls.h"
#include "worker/clients/token.h"
#include "worker/net/address_text.h"
#include "worker/net/keep_alive.h"

namespace holdfast {
namespace {

template <class Wire>
std::unique_ptr<Client> make_of(const ClientHome& home, UniqueFd fd) {
  if (home.tls != nullptr) return std::make_unique<TlsConnection<Wire>>(home, std::move(fd));
  return std::make_unique<Wire>(home, std::move(fd));
}

}  // namespace

Client::Client(const ClientHome& home, UniqueFd fd, Phase first)
    : Transport(home.runtime, home.table, std::move(fd)), home_(home), phase_(first) {}

std::unique_ptr<Client> Client::make(const ClientHome& home, UniqueFd fd) {
  if (home.listen.protocol == conf::Protocol::websocket)
    return make_of<WebSocket>(home, std::move(fd));
  return make_of<FramedTcp>(home, std::move(fd));
}

// A proxy is not counted; the client it speaks for is.
void Client::start(const shm::SessionOrigin& origin) {
  heard();
  if (home_.listen.idle_timeout_ms == 0) keep_alive(fd());
  bool known = !home_.listen.trusts(origin.peer);
  bool proxied = home_.listen.proxy_protocol && !known;
  if (!has_request() && !proxied && home_.tls == nullptr) {
    shm::SessionOrigin counted = origin;
    if (known && home_.admission.enter(counted) != Admission::Verdict::admitted) return retire();
    return begin_session(counted, nullptr);
  }
  entrance_ = make_entrance(origin);
  if (known && !entrance_->admit(tells())) return;
  arm(runtime_.now_ms + runtime_.config.limits.handshake_timeout_ms);
  read_on(true);
  if (proxied) {
    phase_ = Phase::proxied;
  } else {
    proceed({});
  }
}

std::optional<in6_addr> Client::newcomer() const {
  const shm::SessionOrigin& origin = entrance_->origin();
  if (is_unix(origin) || home_.listen.trusts(origin.peer)) return {};
  return origin.peer;
}

void Client::on_retire() {
  drop_undecoded();
  if (entrance_) leave_entrance();
}

void Client::leave_entrance() {
  entrance_->leave();
  entrance_.reset();
}

// ---- the session

// Before the application is asked, so that it sees them.
void Client::apply(const token::Claims& claims) {
  home_.sessions.set_user(*session_, claims.user);
  for (const std::string& channel : claims.channels) home_.sessions.join(*session_, channel, true);
  home_.sessions.set_expiry(*session_, claims.expires_wall_s);
}

void Client::begin_session(shm::SessionOrigin& origin, const http::Request* request,
                           const token::Claims* claims) {
  phase_ = Phase::connecting;
  runtime_.budget.spend(TurnBudget::kAppRequest);
  disarm();
  read_on(false);
  hold_output(true);
  if (!runtime_.stopping)
    session_ = home_.sessions.create(home_.listen, home_.listener, home_.backend, *this, origin);
  if (session_ == nullptr) {
    if (!entrance_) home_.admission.leave(origin.address_place);
    if (runtime_.stopping)
      note_refusal(runtime_, Refusal::stopping, origin, has_request() ? 503 : 0,
                   "the server is stopping", {});
    return refuse(503, runtime_.stopping ? "the server is stopping" : "the server is full");
  }
  origin.address_place = shm::kNoPlace;
  if (claims != nullptr) apply(*claims);
  begun();
  Opening opening{request, {}, {}, origin.peer_port, 0, {}};
  opening.subprotocol = subprotocol();
  opening.transport = transport_name();
  if (!is_unix(origin)) opening.remote_address = address_text(origin.peer);
  local_address(fd(), &opening.server_address, &opening.server_port);
  home_.backend.open(*session_, opening);
}

void Client::accept(std::string_view extra_headers) {
  HF_CHECK(phase_ == Phase::connecting && session_ != nullptr);
  phase_ = Phase::open;
  greet(extra_headers);
  std::string early;
  if (entrance_) early = entrance_->take_early();
  if (entrance_) leave_entrance();
  home_.sessions.opened(*session_);
  heard();
  hold_output(false);
  read_on(true);
  keep_alive_check();
  if (!early.empty()) take(early);
}

void Client::go_on_with(Session& session, shm::SessionOrigin& origin,
                        const std::vector<BufferRef>& missed) {
  if (session.transport != nullptr) {
    runtime_.stats.resume_taken_over.add();
    session.transport->give_way();
  }
  disarm();
  hold_output(true);
  session_ = &session;
  home_.sessions.attach(session, *this, origin);
  origin.address_place = shm::kNoPlace;
  phase_ = Phase::open;
  greet({});
  std::string early = entrance_->take_early();
  leave_entrance();
  for (const BufferRef& message : missed) enqueue(message, Urgency::urgent);
  runtime_.budget.spend(TurnBudget::kAppRequest +
                        int64_t(missed.size()) / TurnBudget::kDeliveriesAUnit);
  heard();
  hold_output(false);
  read_on(true);
  keep_alive_check();
  home_.backend.came_back(session);
  if (!early.empty()) take(early);
}

// As when a connection is accepted, but that there is a way to answer.
bool Client::admit_again() {
  heard();
  runtime_.stats.bytes_unsent.add(unsent());
  arm(runtime_.now_ms + runtime_.config.limits.handshake_timeout_ms);
  return home_.listen.trusts(entrance_->origin().peer) || entrance_->admit(true);
}

void Client::refuse(int status, std::string_view body, EndReason reason) {
  HF_CHECK(phase_ == Phase::connecting);
  drop_output();
  if (session_ != nullptr) end_session(reason, 0);
  hold_output(false);
  if (!has_request()) {
    if (entrance_) leave_entrance();
    return linger();
  }
  std::string extra = status == 503 ? retry_after() : std::string();
  answer_and_linger(status, "text/plain", body, extra);
}

// ---- events, by phase

void Client::on_bytes(std::span<char> bytes) {
  runtime_.stats.bytes_in.add(bytes.size());
  heard();
  switch (phase_) {
    case Phase::proxied:
      return entrance_->take_proxy_header({bytes.data(), bytes.size()});
    case Phase::handshake:
      return take_request({bytes.data(), bytes.size()});
    case Phase::securing:
    case Phase::connecting:
    case Phase::half_closed:
      return;  // not read in these phases
    case Phase::open:
    case Phase::closing:
      return take(bytes);
    case Phase::lingering:
      return;  // whatever it is, it comes too late
  }
}

void Client::on_deadline() {
  switch (phase_) {
    case Phase::proxied:
    case Phase::securing:
    case Phase::handshake:
      runtime_.stats.handshakes_timed_out.add();
      return retire();
    case Phase::connecting:
      return;  // the backend's own deadlines decide
    case Phase::open:
    case Phase::half_closed:
      return keep_alive_check();
    case Phase::closing:
    case Phase::lingering:
      return retire();
  }
}

}  // namespace holdfast
