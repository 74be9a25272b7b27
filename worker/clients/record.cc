// A client to its record, and back in the successor's process.

#include "worker/clients/record.h"

#include "worker/clients/client.h"
#include "worker/clients/tls.h"
#include "worker/net/keep_alive.h"

namespace holdfast {
namespace {

// A new member is carried by save() and restore_state(), a wire's by save_wire() and restore_wire(), or it is said here why not: home_ is
// the listener's in the successor, too; Connection's own are save_output(), reading() and the deadline.
static_assert(sizeof(Client) == 168 && sizeof(WebSocket) == 184 && sizeof(FramedTcp) == 176 &&
              sizeof(EventStream) == 184);

template <class Wire>
std::unique_ptr<Client> make_of(const ClientHome& home, UniqueFd fd,
                                std::optional<handover::TlsRecord>&& tls) {
  if (tls) return TlsConnection<Wire>::restore(home, std::move(fd), std::move(*tls));
  return std::make_unique<Wire>(home, std::move(fd));
}

std::unique_ptr<Client> make_again(const ClientHome& home, UniqueFd fd, std::string_view transport,
                                   std::optional<handover::TlsRecord>&& tls) {
  if (transport == EventStream::kTransport)
    return make_of<EventStream>(home, std::move(fd), std::move(tls));
  if (!transport.empty()) return nullptr;
  if (home.listen.protocol == conf::Protocol::websocket)
    return make_of<WebSocket>(home, std::move(fd), std::move(tls));
  return make_of<FramedTcp>(home, std::move(fd), std::move(tls));
}

bool may_have_client(const Session& session) {
  return session.phase == SessionPhase::connecting || session.phase == SessionPhase::open;
}

shm::SessionOrigin origin_of(const handover::OriginRecord& record, uint16_t listener) {
  shm::SessionOrigin origin;
  std::memcpy(&origin.peer, record.peer, sizeof record.peer);
  origin.peer_port = record.port;
  origin.listener = listener;
  origin.address_place = record.address_place;
  return origin;
}

}  // namespace

handover::ClientRecord Client::save() const {
  handover::ClientRecord r;
  r.listener = home_.listener;
  r.phase = uint8_t(phase_);
  if (session_ != nullptr) {
    r.session_hi = session_->id.hi;
    r.session_lo = session_->id.lo;
  }
  r.output = save_output();
  if (entrance_) entrance_->save(r);
  save_wire(r);
  if (Undecoded* waiting = undecoded())
    r.undecoded.assign(waiting->rest().data(), waiting->rest().size());
  r.held_back = held_back_;
  r.last_in_ms = last_in_ms_;
  r.last_ping_ms = pinged_after_ms_ == 0 ? 0 : last_in_ms_ + pinged_after_ms_;
  r.deadline_ms = at_ms();
  r.reading = reading();
  r.slow = slow_;
  r.shut = shut_;
  return r;
}

std::unique_ptr<Client> Client::restore(const ClientHome& home, UniqueFd fd,
                                        handover::ClientRecord&& r, Session* session) {
  bool sessions_agree = (session != nullptr) == ((r.session_hi | r.session_lo) != 0);
  if (!sessions_agree || r.phase > uint8_t(Phase::proxied))
    return nullptr;  // securing does not move
  if (session != nullptr && (session->transport != nullptr || !may_have_client(*session)))
    return nullptr;
  std::unique_ptr<Client> client = make_again(home, std::move(fd), r.transport, std::move(r.tls));
  return client && client->restore_state(r, session) ? std::move(client) : nullptr;
}

// False: it makes no sense.
bool Client::restore_state(handover::ClientRecord& r, Session* session) {
  phase_ = Phase(r.phase);
  if (!restore_wire(r) || !restore_input(r)) return false;
  bool waits = phase_ == Phase::handshake || phase_ == Phase::connecting;
  // Of a TCP connection there is one only if a PROXY header comes, or came with bytes after it.
  if (phase_ == Phase::proxied || (waits && (has_request() || !r.early.empty()))) {
    entrance_ = make_entrance(origin_of(r.origin, home_.listener));
    entrance_->restore(r);
  }
  if (!restore_output(r.output)) return false;
  last_in_ms_ = r.last_in_ms;
  if (r.last_ping_ms > r.last_in_ms) pinged_after_ms_ = uint32_t(r.last_ping_ms - r.last_in_ms);
  slow_ = r.slow;
  if (slow_) asks_before_flush_ = true;
  shut_ = r.shut;
  session_ = session;
  if (session != nullptr) session->transport = this;
  read_on(r.reading);
  // A reload may have taken the timeout away.
  if (home_.listen.idle_timeout_ms == 0) keep_alive(fd());
  // What the configuration says now about pings and idleness counts from what came last.
  uint64_t due = has_session() ? next_check() : r.deadline_ms;
  if (due != 0 && due != UINT64_MAX) arm(due);
  return true;
}

bool Client::restore_input(handover::ClientRecord& r) {
  held_back_ = r.held_back || (phase_ == Phase::open && !r.reading && r.undecoded.empty());
  if (r.undecoded.empty()) return true;
  if (!takes_messages() || r.reading) return false;
  keep_undecoded(std::make_unique<Undecoded>(home_.table.input(), *this, r.undecoded,
                                             Undecoded::Gauge::counted));
  return true;
}

void Client::resume() {
  if (undecoded() != nullptr) settle_input();
  if (slow_ || !output_empty()) flush_soon();
}

}  // namespace holdfast
