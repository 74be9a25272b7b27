#include "worker/clients/client.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "wire/http/passed_headers.h"
#include "wire/proxy/forwarded.h"
#include "wire/proxy/header.h"
#include "wire/ws/encoder.h"
#include "wire/ws/extensions.h"
#include "wire/ws/handshake.h"
#include "wire/ws/subprotocol.h"
#include "worker/clients/record.h"
#include "worker/clients/tls.h"
#include "worker/clients/token.h"
#include "worker/net/address_text.h"
#include "worker/net/keep_alive.h"
#include "worker/sessions/trace.h"

namespace holdfast {
namespace {

constexpr int64_t kTokenCheck = 100;  // a signature, in units of a turn
constexpr int64_t kEndUnits = 4;

// By the header of the proxies, where it comes from one. False: it cannot be read to its end.
bool name_client(shm::SessionOrigin& origin, const http::Request& request,
                 const conf::Listen& listen) {
  proxy::Believed believed = proxy::client_behind(request, listen, origin.peer);
  if (IN6_ARE_ADDR_EQUAL(&believed.client, &origin.peer)) return believed.readable;
  origin.peer = believed.client;
  origin.peer_port = 0;  // the header does not say it
  return believed.readable;
}

// Empty: the request's extensions cannot be read.
std::optional<ws::DeflateTerms> deflate_terms(const http::Request& request,
                                              const conf::Listen& listen) {
  if (!listen.permessage_deflate) return ws::DeflateTerms();
  return ws::negotiate(request, {!listen.permessage_deflate->client_no_context_takeover,
                                 listen.permessage_deflate->client_max_window_bits});
}

// Another for each, so that a crowd that is refused in one turn does not come back at one instant.
std::string retry_after() {
  static std::minstd_rand seconds(uint32_t(monotonic_ms()) ^ uint32_t(getpid()));
  return "Retry-After: " + std::to_string(1 + seconds() % 5) + "\r\n";
}

}  // namespace

Client::Client(const ClientHome& home, UniqueFd fd)
    : Transport(home.runtime, home.table, std::move(fd)),
      home_(home),
      phase_(websocket() ? Phase::handshake : Phase::connecting) {}

Client::~Client() {
  if (size_t bytes = window_bytes(); bytes != 0) runtime_.stats.ws_window_bytes.sub(bytes);
}

std::unique_ptr<Client> Client::make(const ClientHome& home, UniqueFd fd) {
  if (home.tls != nullptr) return std::make_unique<TlsConnection<Client>>(home, std::move(fd));
  return std::make_unique<Client>(home, std::move(fd));
}

void Client::start(const shm::SessionOrigin& origin) {
  heard();
  if (home_.listen.idle_timeout_ms == 0) keep_alive(fd());
  bool proxied = home_.listen.proxy_protocol && home_.listen.trusts(origin.peer);
  shm::SessionOrigin counted = origin;
  bool known = !home_.listen.trusts(origin.peer);  // a proxy is not counted, but whom it speaks for
  if (!websocket() && !proxied && home_.tls == nullptr) {
    if (!known || admit(counted, false)) begin_session(counted, nullptr);
    return;
  }
  handshake_ = make_handshake(origin);
  if (known && !admit(handshake_->origin, tells())) return;
  arm(runtime_.now_ms + runtime_.config.limits.handshake_timeout_ms);
  read_on(true);
  if (proxied) {
    phase_ = Phase::proxied;
  } else {
    proceed({});
  }
}

std::unique_ptr<Client::Handshake> Client::make_handshake(const shm::SessionOrigin& origin) const {
  const conf::Limits& limits = runtime_.config.limits;
  return std::make_unique<Handshake>(
      Handshake{origin, http::RequestReader({limits.max_header_size, limits.max_headers, 0})});
}

// ---- hand-shake

void Client::feed_proxy_header(std::string_view bytes) {
  handshake_->early += bytes;  // what is not whole yet is shorter than a header may be
  proxy::Header header = proxy::read_header(handshake_->early);
  if (header.status == proxy::Status::need_more) return;
  if (header.status == proxy::Status::bad) {
    runtime_.stats.handshakes_bad_proxy.add();
    static LogGate gate;
    if (uint64_t n = gate.pass())
      log_warn("connection of a proxy does not begin with a PROXY header peer={} times={}",
               peer_text(handshake_->origin), n);
    return retire();
  }
  if (header.source) {
    handshake_->origin.peer = header.source->address;
    handshake_->origin.peer_port = header.source->port;
  }
  std::string rest = handshake_->early.substr(header.used);
  handshake_->early.clear();
  if (!home_.listen.trusts(handshake_->origin.peer) && !admit(handshake_->origin, tells())) return;
  proceed(rest);
}

// False: it has been refused. Before a TLS hand-shake nothing can be told: it is what the limit saves.
bool Client::admit(shm::SessionOrigin& origin, bool can_tell, Admission::Who who) {
  Admission& admission = home_.admission;
  Admission::Verdict verdict = admission.enter(origin, who);
  if (verdict == Admission::Verdict::admitted) return true;
  if (can_tell && verdict != Admission::Verdict::no_memory && admission.begin_farewell()) {
    turn_away(verdict);
  } else {
    retire();
  }
  return false;
}

void Client::turn_away(Admission::Verdict why) {
  handshake_->refused = true;
  runtime_.stats.handshakes_refused.add();
  std::string_view text = why == Admission::Verdict::too_many
                              ? "too many connections from your address\n"
                              : "too many new connections from your address\n";
  enqueue(BufferRef::concat(http::make_response(429, "text/plain", text, false, retry_after())),
          Urgency::urgent);
  linger();
}

std::optional<in6_addr> Client::newcomer() const {
  const shm::SessionOrigin& origin = handshake_->origin;
  if (is_unix(origin) || home_.listen.trusts(origin.peer)) return {};
  return origin.peer;
}

void Client::on_retire() {
  drop_undecoded();
  if (handshake_) end_handshake();
}

// What is counted for it now is its session's, or nobody's.
void Client::end_handshake() {
  Admission& admission = home_.admission;
  admission.leave(handshake_->origin.address_place);
  if (handshake_->refused) admission.farewell_done();
  handshake_.reset();
}

void Client::proceed(std::string_view early) {
  if (websocket()) {
    phase_ = Phase::handshake;
    if (!early.empty()) feed_handshake(early);
  } else {
    handshake_->early = early;
    begin_session(handshake_->origin, nullptr);
  }
}

void Client::feed_handshake(std::string_view bytes) {
  size_t used = 0;
  switch (handshake_->reader.feed(bytes, &used)) {
    case http::RequestReader::Status::header:
    case http::RequestReader::Status::need_more:
      return;
    case http::RequestReader::Status::failed:
      return turn_down(Refusal::bad_request, handshake_->reader.error_status(),
                       handshake_->reader.error_text());
    case http::RequestReader::Status::complete:
      break;
  }
  handshake_->early = bytes.substr(used);
  answer_request(handshake_->reader.request());
}

void Client::answer_request(const http::Request& request) {
  runtime_.budget.spend(TurnBudget::kAppRequest);
  const conf::Listen& listen = home_.listen;
  bool wants_upgrade = request.header("Upgrade").has_value();
  if (request.path() == listen.path &&
      (wants_upgrade || listen.page.empty() || listen.path != "/")) {
    ws::HandshakeVerdict verdict = ws::judge(request, listen.origins);
    std::optional<ws::DeflateTerms> terms = deflate_terms(request, listen);
    if (verdict.status == 101 && !terms) verdict = {400, "Sec-WebSocket-Extensions cannot be read"};
    if (verdict.status == 101) {
      if (!judge_headers(request) || !choose_subprotocol(request)) return;
      deflate_ = *terms;
      handshake_->key = *request.header("Sec-WebSocket-Key");
      if (!admit_named(request)) return;
      std::optional<token::Claims> claims;
      if (!read_token(request, &claims)) return;
      return begin_session(handshake_->origin, &request, claims ? &*claims : nullptr);
    }
    return turn_down(request, verdict);
  }
  if (request.path() == "/" && !listen.page.empty()) {
    if (request.method != "GET" && request.method != "HEAD")
      return turn_down(Refusal::bad_request, 405, "only GET here", {}, "Allow: GET, HEAD\r\n");
    runtime_.stats.pages_served.add();
    return answer_and_linger(200, "text/html; charset=utf-8",
                             request.method == "GET" ? listen.page_html : std::string_view(), {});
  }
  std::string_view text =
      request.path().starts_with("/v1/")
          ? "nothing here: this listener is for clients, the push API is an [[api]]"
          : "nothing here";
  turn_down(Refusal::bad_path, 404, text,
            fmt::format("path=\"{}\" allowed=\"{}\"", shown(request.path()), listen.path));
}

// Answers, counts and logs why.
void Client::turn_down(Refusal why, int status, std::string_view text, std::string_view values,
                       std::string_view extra) {
  note_refusal(runtime_, why, handshake_->origin, status, text, values);
  answer_and_linger(status, "text/plain", text, extra);
}

void Client::turn_down(const http::Request& request, const ws::HandshakeVerdict& verdict) {
  if (verdict.status != 403) {
    std::string_view extra;
    if (verdict.status == 426) extra = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (verdict.status == 405) extra = "Allow: GET\r\n";
    return turn_down(Refusal::bad_request, verdict.status, verdict.why, {}, extra);
  }
  std::string origin = shown(request.header("Origin").value_or(""));
  const std::vector<std::string>& allowed = home_.listen.origins;
  turn_down(Refusal::bad_origin, 403, verdict.why,
            allowed.empty()
                ? fmt::format("origin=\"{}\" host=\"{}\" allowed=\"the same host\"", origin,
                              shown(request.header("Host").value_or("")))
                : fmt::format("origin=\"{}\" allowed=\"{}\"", origin, fmt::join(allowed, " ")));
}

// False: it has been refused.
bool Client::judge_headers(const http::Request& request) {
  std::string_view doubtful = http::doubtful_header(request);
  if (doubtful.empty()) return true;
  turn_down(Refusal::bad_headers, 400, "two headers that an application could not tell apart",
            fmt::format("header=\"{}\"", shown(doubtful)));
  return false;
}

// False: it has been refused. Who offers none gets none: most programs that are no browsers do not.
bool Client::choose_subprotocol(const http::Request& request) {
  const std::vector<std::string>& spoken = home_.listen.subprotocols;
  handshake_->offered = ws::offered_subprotocols(request);
  handshake_->subprotocol = ws::choose_subprotocol(spoken, handshake_->offered);
  if (spoken.empty() || handshake_->offered.empty() || !handshake_->subprotocol.empty())
    return true;
  turn_down(Refusal::bad_subprotocol, 400, "none of these subprotocols is spoken here",
            fmt::format("offered=\"{}\" spoken=\"{}\"",
                        shown(fmt::format("{}", fmt::join(handshake_->offered, " "))),
                        fmt::join(spoken, " ")));
  return false;
}

bool Client::speak(std::string_view subprotocol) {
  if (!handshake_) return false;
  const std::vector<std::string>& offered = handshake_->offered;
  if (std::find(offered.begin(), offered.end(), subprotocol) == offered.end()) return false;
  handshake_->subprotocol = subprotocol;
  return true;
}

// Counts whom a proxy names, or the hop whose word cannot be read. False: it has been refused.
bool Client::admit_named(const http::Request& request) {
  shm::SessionOrigin& origin = handshake_->origin;
  bool readable = name_client(origin, request, home_.listen);
  if (!readable) {
    runtime_.stats.handshakes_bad_forwarded.add();
    bool standard = home_.listen.forwarded == conf::Forwarded::standard;
    std::string_view name = standard ? "Forwarded" : "X-Forwarded-For";
    static LogGate gate;
    if (uint64_t n = gate.pass())
      log_warn(
          "header of a proxy cannot be read to its end header={} hop={} value=\"{}\" times={}; "
          "counted for that hop",
          name, peer_text(origin), shown(request.header(name).value_or("")), n);
  }
  if (origin.address_place != shm::kNoPlace) return true;  // counted, for it came by no proxy
  if (readable && home_.listen.trusts(origin.peer)) return true;
  return admit(origin, true, readable ? Admission::Who::client : Admission::Who::unreadable);
}

// False: it has been refused.
bool Client::read_token(const http::Request& request, std::optional<token::Claims>* claims) {
  const conf::Listen& listen = home_.listen;
  if (!listen.token) return true;
  std::string text = token::token_of(request);
  if (text.empty() && !listen.token->required) return true;
  runtime_.budget.spend(kTokenCheck);
  Result<token::Claims> read = token::verify(*listen.token, text, wall_ms() / 1000,
                                             runtime_.config.limits.max_channels_per_session);
  if (read) {
    claims->emplace(*std::move(read));
    return true;
  }
  runtime_.stats.tokens_refused.add();
  answer_and_linger(401, "text/plain", read.error().text(),
                    "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
  return false;
}

// Before the application is asked, so that it sees them.
void Client::apply(const token::Claims& claims) {
  home_.sessions.set_user(*session_, claims.user);
  for (const std::string& channel : claims.channels) home_.sessions.join(*session_, channel, true);
  home_.sessions.set_expiry(*session_, claims.expires_wall_s);
}

void Client::answer_and_linger(int status, std::string_view type, std::string_view body,
                               std::string_view extra) {
  if (status >= 400) runtime_.stats.handshakes_refused.add();
  std::string text(body);
  if (type == "text/plain" && !text.empty()) text += '\n';
  enqueue(BufferRef::concat(http::make_response(status, type, text, false, extra)),
          Urgency::urgent);
  end_handshake();
  linger();
}

// What `origin` counts for passes to the session, if there is one.
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
    if (!handshake_) home_.admission.leave(origin.address_place);
    if (runtime_.stopping)
      note_refusal(runtime_, Refusal::stopping, origin, websocket() ? 503 : 0,
                   "the server is stopping", {});
    return refuse(503, runtime_.stopping ? "the server is stopping" : "the server is full");
  }
  origin.address_place = shm::kNoPlace;
  if (claims != nullptr) apply(*claims);
  Opening opening{request, {}, {}, origin.peer_port, 0, {}};
  if (handshake_) opening.subprotocol = handshake_->subprotocol;
  if (!is_unix(origin)) opening.remote_address = address_text(origin.peer);
  local_address(fd(), &opening.server_address, &opening.server_port);
  home_.backend.open(*session_, opening);
}

void Client::accept(std::string_view extra_headers) {
  HF_CHECK(phase_ == Phase::connecting && session_ != nullptr);
  phase_ = Phase::open;
  std::string early;
  if (websocket()) {
    std::string extra = "Holdfast-Session: " + session_->id.hex() + "\r\n";
    extra += ws::extensions_line(deflate_);
    if (!handshake_->subprotocol.empty())
      extra += http::header_line("Sec-WebSocket-Protocol", handshake_->subprotocol);
    extra += extra_headers;
    if (deflate_.on()) runtime_.stats.ws_negotiated.add();
    enqueue_first(BufferRef::concat(ws::accept_head(handshake_->key, extra)));
  }
  if (handshake_) early = std::move(handshake_->early);
  if (handshake_) end_handshake();
  home_.sessions.opened(*session_);
  heard();
  hold_output(false);
  read_on(true);
  keep_alive_check();
  if (!early.empty()) take(early);
}

void Client::refuse(int status, std::string_view body, EndReason reason) {
  HF_CHECK(phase_ == Phase::connecting);
  drop_output();
  if (session_ != nullptr) end_session(reason, 0);
  hold_output(false);
  if (!websocket()) {
    if (handshake_) end_handshake();
    return linger();
  }
  std::string extra = status == 503 ? retry_after() : std::string();
  answer_and_linger(status, "text/plain", body, extra);
}

// ---- open

void Client::on_bytes(std::span<char> bytes) {
  runtime_.stats.bytes_in.add(bytes.size());
  heard();
  switch (phase_) {
    case Phase::proxied:
      return feed_proxy_header({bytes.data(), bytes.size()});
    case Phase::handshake:
      return feed_handshake({bytes.data(), bytes.size()});
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

bool Client::deliver(Payload& message, Urgency urgency) {
  const BufferRef& framed = deflate_.on() ? message.deflated(home_.listen, deflate_, runtime_)
                                          : message.framed(home_.listen);
  if (!framed) {
    runtime_.stats.messages_dropped.add();
    return false;
  }
  if (!has_session() && phase_ != Phase::connecting) return false;
  conf::SlowConsumer policy = message.slow_consumer(home_.listen);
  bool passes = unsent() + framed.size() > home_.listen.send_queue;
  if (slow_ || (passes && !make_room(framed, policy))) {
    runtime_.stats.messages_dropped.add();
    return false;
  }
  enqueue(framed, urgency);
  return true;
}

// For a message that passes the bound. False: it is the one that goes.
bool Client::make_room(const BufferRef& framed, conf::SlowConsumer policy) {
  size_t bytes = framed.size(), bound = home_.listen.send_queue, most = 0;
  switch (policy) {
    case conf::SlowConsumer::close:
      slow_ = true;
      flush_soon();
      return false;
    case conf::SlowConsumer::drop_oldest:
      most = bound - bound / 8 - std::min(bytes, bound - bound / 8);
      break;
    case conf::SlowConsumer::keep_latest:
      break;
    case conf::SlowConsumer::drop_newest:
      runtime_.stats.messages_dropped_slow.add();
      return false;
  }
  if (bytes <= bound) {
    // Control frames stay, and so does the answer to the hand-shake: the fourth bit of an `H` is set, too.
    drop_oldest_output(most, framed.tag(), [&](const BufferRef& queued) {
      return !websocket() || (queued.bytes()[0] & 0x08) == 0;
    });
  }
  bool room = unsent() + bytes <= bound;
  if (!room) runtime_.stats.messages_dropped_slow.add();
  return room;
}

bool Client::before_flush() {
  if (!slow_) return true;
  slow_ = false;
  close(EndReason::slow);
  return true;
}

// ---- the end

void Client::close(uint16_t code, std::string_view text, EndReason reason) {
  if (phase_ == Phase::connecting) return refuse(503, text, reason);
  if (!has_session()) return;
  if (reason == EndReason::slow)
    drop_output(websocket());  // the 101 must be there before the close frame
  phase_ = Phase::closing;
  if (websocket()) enqueue(BufferRef::concat(ws::encode_close(code, text)), Urgency::urgent);
  end_session(reason, code);
  if (!websocket()) return linger();
  settle_input();  // the other side's close frame must be seen, also where the backend had paused reading
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
}

// Its session may be closed already; then what is left to be sent is given up.
void Client::shed() {
  if (!has_session() && phase_ != Phase::connecting) {
    forget_output();
    return retire();
  }
  runtime_.stats.limits_shed.add();
  close(EndReason::slow);
}

// From here on nothing reaches the session by this client, nor this client by the session.
void Client::end_session(EndReason reason, uint16_t code) {
  runtime_.budget.spend(kEndUnits);  // many may end at once: with a tick, a stop, a kick
  Session& session = *session_;
  session_ = nullptr;
  home_.sessions.end(session, reason, code);
}

void Client::linger() {
  if (phase_ == Phase::lingering || retired()) return;
  phase_ = Phase::lingering;
  drop_undecoded();
  read_on(true);
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
  if (output_empty()) on_drained();
}

void Client::on_drained() {
  if (phase_ != Phase::lingering || shut_) return;
  shut_ = true;
  shut_down_writing();
  if (!reading()) retire();  // the other side has ended already
}

void Client::on_end() {
  bool lost = phase_ != Phase::half_closed;
  if (session_ != nullptr)
    end_session(lost ? EndReason::connection_lost : EndReason::client_closed, lost ? 1006 : 1000);
  retire();
}

void Client::on_end_of_input() {
  if (!websocket() && phase_ == Phase::open) {  // TCP's way to say goodbye
    phase_ = Phase::half_closed;
    read_on(false);
    return all_answered();
  }
  if (output_empty() || phase_ != Phase::lingering) return on_end();
  read_on(false);
}

void Client::all_answered() {
  if (phase_ != Phase::half_closed || home_.backend.busy(*session_)) return;
  end_session(EndReason::client_closed, 1000);
  if (output_empty()) {
    shut_down_writing();
    return retire();
  }
  linger();
  read_on(false);  // or its end of file would be told again and again
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

void Client::keep_alive_check() {
  const conf::Listen& listen = home_.listen;
  uint64_t now = runtime_.now_ms;
  // While the backend holds reading back, or what has been read waits for its turn, silence is not the client's. Nor is it where
  // something lies in the socket that this process has not come to read.
  bool over = listen.idle_timeout_ms != 0 && now >= last_in_ms_ + listen.idle_timeout_ms;
  if (!reading() || (over && has_unread())) heard();
  home_.sessions.publish_counts(*session_);
  if (listen.idle_timeout_ms != 0 && now >= last_in_ms_ + listen.idle_timeout_ms)
    return close(EndReason::idle);
  if (pings() && now >= last_in_ms_ + pinged_after_ms_ + listen.ping_interval_ms) {
    runtime_.stats.pings_sent.add();
    send_frame(ws::Opcode::ping, {});
    pinged_after_ms_ = uint32_t(now - last_in_ms_);
  }
  if (uint64_t next = next_check(); next != UINT64_MAX) arm(next);
}

void Client::heard() {
  last_in_ms_ = runtime_.now_ms;
  pinged_after_ms_ = 0;
}

// When there is something to do again; UINT64_MAX: never.
uint64_t Client::next_check() const {
  const conf::Listen& listen = home_.listen;
  uint64_t next = UINT64_MAX;
  if (listen.idle_timeout_ms != 0) next = last_in_ms_ + listen.idle_timeout_ms;
  if (pings()) next = std::min(next, last_in_ms_ + pinged_after_ms_ + listen.ping_interval_ms);
  return next;
}

// ---- handover

// Whoever adds a member carries it here and in restore(), or says why not: home_ is the listener's in the
// successor, too; Connection's own are save_output(), reading() and the deadline.
static_assert(sizeof(Client) == 184);

handover::ClientRecord Client::save() const {
  handover::ClientRecord r;
  r.listener = home_.listener;
  r.phase = uint8_t(phase_);
  if (session_ != nullptr) {
    r.session_hi = session_->id.hi;
    r.session_lo = session_->id.lo;
  }
  r.output = save_output();
  if (handshake_) {
    std::memcpy(r.origin.peer, &handshake_->origin.peer, sizeof r.origin.peer);
    r.origin.port = handshake_->origin.peer_port;
    r.origin.address_place = handshake_->origin.address_place;
    if (phase_ == Phase::handshake) r.handshake = handshake_->reader.replay();
    r.key = handshake_->key;
    r.early = handshake_->early;
    r.offered = handshake_->offered;
    r.subprotocol = handshake_->subprotocol;
  }
  save_input(r);
  r.last_in_ms = last_in_ms_;
  r.last_ping_ms = pinged_after_ms_ == 0 ? 0 : last_in_ms_ + pinged_after_ms_;
  r.deadline_ms = at_ms();
  r.reading = reading();
  r.slow = slow_;
  r.shut = shut_;
  r.deflate = deflate_.packed();
  return r;
}

std::unique_ptr<Client> Client::restore(const ClientHome& home, UniqueFd fd,
                                        handover::ClientRecord&& r, Session* session) {
  bool sessions_agree = (session != nullptr) == ((r.session_hi | r.session_lo) != 0);
  if (!sessions_agree || r.phase > uint8_t(Phase::proxied))
    return nullptr;  // securing does not move
  if (session != nullptr && session->transport != nullptr) return nullptr;
  shm::SessionOrigin origin;
  std::memcpy(&origin.peer, r.origin.peer, sizeof r.origin.peer);
  origin.peer_port = r.origin.port;
  origin.listener = home.listener;
  origin.address_place = r.origin.address_place;
  std::unique_ptr<Client> client;
  if (r.tls) {
    client = TlsConnection<Client>::restore(home, std::move(fd), std::move(*r.tls));
  } else {
    client = std::make_unique<Client>(home, std::move(fd));
  }
  client->phase_ = Phase(r.phase);
  std::optional<ws::DeflateTerms> terms = ws::DeflateTerms::unpack(r.deflate);
  if (!terms || (terms->on() && !client->websocket())) return nullptr;
  client->deflate_ = *terms;
  if (!client->restore_input(r)) return nullptr;
  bool waits = client->phase_ == Phase::handshake || client->phase_ == Phase::connecting;
  // Of a TCP connection there is one only where a PROXY header comes, or came with something behind it.
  if (client->phase_ == Phase::proxied || (waits && (client->websocket() || !r.early.empty()))) {
    client->handshake_ = client->make_handshake(origin);
    client->handshake_->key = std::move(r.key);
    client->handshake_->early = std::move(r.early);
    client->handshake_->offered = std::move(r.offered);
    client->handshake_->subprotocol = std::move(r.subprotocol);
    size_t used =
        0;  // not whole there, so not whole here; a smaller limit shows with the next bytes
    (void)client->handshake_->reader.feed(r.handshake, &used);
  }
  if (!client->restore_output(r.output)) return nullptr;
  client->last_in_ms_ = r.last_in_ms;
  if (r.last_ping_ms > r.last_in_ms)
    client->pinged_after_ms_ = uint32_t(r.last_ping_ms - r.last_in_ms);
  client->slow_ = r.slow;
  client->shut_ = r.shut;
  client->session_ = session;
  if (session != nullptr) session->transport = client.get();
  client->read_on(r.reading);
  // A reload may have taken the timeout away.
  if (home.listen.idle_timeout_ms == 0) keep_alive(client->fd());
  // What the configuration says now about pings and idleness counts from what came last.
  bool checks = client->has_session();
  uint64_t due = checks ? client->next_check() : r.deadline_ms;
  if (due != 0 && due != UINT64_MAX) client->arm(due);
  return client;
}

void Client::resume() {
  if (undecoded() != nullptr) settle_input();
  if (slow_ || !output_empty()) flush_soon();
}

void Client::wind_up(WindUp what) {
  switch (phase_) {
    case Phase::proxied:
    case Phase::securing:
      return retire();
    case Phase::handshake:
      return answer_and_linger(503, "text/plain", "the server is stopping", retry_after());
    case Phase::connecting:
      return refuse(503, "the server is stopping", EndReason::stop);
    case Phase::open:
    case Phase::half_closed:
      if (what == WindUp::all) close(EndReason::stop);
      return;
    case Phase::closing:
    case Phase::lingering:
      return;
  }
}

}  // namespace holdfast
