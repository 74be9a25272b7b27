#include "worker/client.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "simdjson.h"
#include "worker/addresses.h"
#include "worker/proxy/forwarded.h"
#include "worker/proxy/header.h"
#include "worker/tls_connection.h"
#include "worker/token/connect_token.h"
#include "worker/tracer.h"
#include "worker/ws/encoder.h"
#include "worker/ws/extensions.h"
#include "worker/ws/handshake.h"

namespace holdfast {
namespace {

constexpr int64_t kTokenCheck = 100;  // a signature, in units of a turn

// As one that is newly made.
bool is_fresh(const ws::Decoder& decoder) {
  return !decoder.mid_message() && !decoder.finished() && decoder.window_bytes() == 0;
}
bool is_fresh(const tcp::Framer& framer) {
  return !framer.mid_message() && !framer.done() && framer.error() == tcp::FrameError::none;
}

// By the header of the proxies, where it comes from one.
void name_client(shm::SessionOrigin& origin, const http::Request& request,
                 const conf::Listen& listen) {
  if (listen.forwarded == conf::Forwarded::none) return;
  in6_addr client = proxy::client_behind(request, listen, origin.peer);
  if (IN6_ARE_ADDR_EQUAL(&client, &origin.peer)) return;
  origin.peer = client;
  origin.peer_port = 0;  // the header does not say it
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
    : Connection(home.runtime, home.table, std::move(fd)),
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
               is_unix(handshake_->origin) ? "unix" : address_text(handshake_->origin.peer), n);
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
bool Client::admit(shm::SessionOrigin& origin, bool can_tell) {
  Admission& admission = home_.sessions.admission();
  Admission::Verdict verdict = admission.enter(origin);
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
  if (handshake_) end_handshake();
}

// What is counted for it now is its session's, or nobody's.
void Client::end_handshake() {
  Admission& admission = home_.sessions.admission();
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
    case http::RequestReader::Status::need_more:
      return;
    case http::RequestReader::Status::failed:
      answer_and_linger(handshake_->reader.error_status(), "text/plain",
                        handshake_->reader.error_text(), {});
      return;
    case http::RequestReader::Status::complete:
      break;
  }
  handshake_->early = bytes.substr(used);
  answer_request(handshake_->reader.request());
}

void Client::answer_request(const http::Request& request) {
  const conf::Listen& listen = home_.listen;
  bool wants_upgrade = request.header("Upgrade").has_value();
  if (request.path() == listen.path &&
      (wants_upgrade || listen.page.empty() || listen.path != "/")) {
    ws::HandshakeVerdict verdict = ws::judge(request, listen.origins);
    std::optional<ws::DeflateTerms> terms = deflate_terms(request, listen);
    if (verdict.status == 101 && !terms) verdict = {400, "Sec-WebSocket-Extensions cannot be read"};
    if (verdict.status == 101) {
      deflate_ = *terms;
      handshake_->key = *request.header("Sec-WebSocket-Key");
      name_client(handshake_->origin, request, listen);
      bool counted = handshake_->origin.address_place != shm::kNoPlace;
      if (!counted && !listen.trusts(handshake_->origin.peer) && !admit(handshake_->origin, true))
        return;
      std::optional<token::Claims> claims;
      if (!read_token(request, &claims)) return;
      return begin_session(handshake_->origin, &request, claims ? &*claims : nullptr);
    }
    std::string_view extra;
    if (verdict.status == 426) extra = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (verdict.status == 405) extra = "Allow: GET\r\n";
    return answer_and_linger(verdict.status, "text/plain", verdict.why, extra);
  }
  if (request.path() == "/" && !listen.page.empty()) {
    if (request.method != "GET" && request.method != "HEAD")
      return answer_and_linger(405, "text/plain", "only GET here", "Allow: GET, HEAD\r\n");
    runtime_.stats.pages_served.add();
    return answer_and_linger(200, "text/html; charset=utf-8",
                             request.method == "GET" ? listen.page_html : std::string_view(), {});
  }
  answer_and_linger(404, "text/plain",
                    request.path().starts_with("/v1/")
                        ? "nothing here: this listener is for clients, the push API is an [[api]]"
                        : "nothing here",
                    {});
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
  disarm();
  read_on(false);
  hold_output(true);
  if (!runtime_.stopping)
    session_ = home_.sessions.create(home_.listen, home_.listener, home_.backend, *this, origin);
  if (session_ == nullptr) {
    if (!handshake_) home_.sessions.admission().leave(origin.address_place);
    return refuse(503, runtime_.stopping ? "the server is stopping" : "the server is full");
  }
  origin.address_place = shm::kNoPlace;
  if (claims != nullptr) apply(*claims);
  Opening opening{request, {}, {}, origin.peer_port, 0};
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
  if (!early.empty()) feed_codec(early);
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
      return feed_codec(bytes);
    case Phase::lingering:
      return;  // whatever it is, it comes too late
  }
}

Client::Codec Client::make_codec() const {
  auto max = uint32_t(runtime_.config.limits.max_message_size);
  if (websocket()) return Codec(std::in_place_type<ws::Decoder>, max, deflate_, &runtime_.inflater);
  return Codec(std::in_place_type<tcp::Framer>, *home_.listen.framing, max);
}

size_t Client::window_bytes() const {
  if (!deflate_.client_takeover() || !codec_) return 0;
  return std::get<ws::Decoder>(*codec_).window_bytes();
}

void Client::feed_codec(std::span<char> bytes) {
  if (!deflate_.client_takeover()) return feed_and_keep(bytes);
  size_t before = window_bytes();
  feed_and_keep(bytes);
  if (size_t after = window_bytes(); after != before)
    runtime_.stats.ws_window_bytes.add(after - before);
}

// Most messages come whole, and between two of them a codec has nothing to remember.
void Client::feed_and_keep(std::span<char> bytes) {
  auto fresh = [](const auto& codec) { return is_fresh(codec); };
  if (codec_) {
    feed(*codec_, bytes);
    if (std::visit(fresh, *codec_)) codec_.reset();
    return;
  }
  Codec codec = make_codec();
  feed(codec, bytes);
  if (!std::visit(fresh, codec)) codec_ = std::make_unique<Codec>(std::move(codec));
}

void Client::feed(Codec& codec, std::span<char> bytes) {
  if (auto* decoder = std::get_if<ws::Decoder>(&codec)) return decoder->feed(bytes, *this);
  switch (std::get<tcp::Framer>(codec).feed({bytes.data(), bytes.size()}, *this)) {
    case tcp::FrameError::none:
      return;
    case tcp::FrameError::too_long:
      return close(1009, "message too long", EndReason::protocol);
    case tcp::FrameError::bad_length:
      return close(1002, "bad length", EndReason::protocol);
  }
}

bool Client::received(bool binary, std::string_view data) {
  if (phase_ != Phase::open) return phase_ == Phase::closing;
  if (!home_.sessions.within_rate(*session_, data.size())) {
    close(1008, "too many messages", EndReason::limit);
    return !retired();
  }
  ++session_->messages_in;
  runtime_.stats.messages_in.add();
  home_.sessions.publish_counts(*session_);
  trace(runtime_.tracer, {.event = "message", .session = session_, .bytes = data.size()});
  home_.backend.message(*session_, binary, data);
  return !retired();
}

bool Client::on_message(ws::Opcode opcode, std::string_view payload) {
  return received(opcode == ws::Opcode::binary, payload);
}

// TCP has no opcodes: what is text by its bytes is passed on as text.
bool Client::on_message(std::string_view message) {
  return received(!simdjson::validate_utf8(message.data(), message.size()), message);
}

void Client::send_frame(ws::Opcode opcode, std::string_view payload) {
  char head[10];
  size_t n = ws::write_header(head, opcode, payload.size());
  enqueue(BufferRef::concat({head, n}, payload), Urgency::urgent);
}

bool Client::on_ping(std::string_view payload) {
  // A client that pings and does not read would pile up pongs; past the bound it is a slow consumer.
  if (phase_ != Phase::open) return true;
  if (unsent() > home_.listen.send_queue) {
    close(1008, "slow consumer", EndReason::slow);
    return true;
  }
  send_frame(ws::Opcode::pong, payload);
  return true;
}

bool Client::on_pong(std::string_view) {
  runtime_.stats.pongs_received.add();
  return true;
}

void Client::on_close(uint16_t code, std::string_view) {
  if (phase_ == Phase::open) {
    enqueue(BufferRef::concat(ws::encode_close(code == 1005 ? 0 : code, {})), Urgency::urgent);
    end_session(EndReason::client_closed, code);
  }
  linger();
}

void Client::on_error(uint16_t close_code, std::string_view why) {
  // The stream cannot be trusted any more, so the other side's close frame is not waited for (RFC 6455 section 7.1.7).
  if (phase_ == Phase::open) close(close_code, why, EndReason::protocol);
  linger();
}

void Client::on_inflated(ws::Inflated outcome, size_t from, size_t to) {
  shm::StatsBlock& stats = runtime_.stats;
  if (outcome == ws::Inflated::broken) return stats.ws_inflate_failed.add();
  if (outcome == ws::Inflated::too_long) return stats.ws_inflate_too_long.add();
  stats.ws_inflated.add();
  stats.ws_inflated_from.add(from);
  stats.ws_inflated_to.add(to);
}

bool Client::deliver(const BufferRef& framed, Urgency urgency, conf::SlowConsumer policy) {
  if (!has_session() && phase_ != Phase::connecting) return false;
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
    drop_oldest_output(most, [&](const BufferRef& queued) {
      return queued.tag() == framed.tag() && (!websocket() || (queued.bytes()[0] & 0x08) == 0);
    });
  }
  bool room = unsent() + bytes <= bound;
  if (!room) runtime_.stats.messages_dropped_slow.add();
  return room;
}

bool Client::before_flush() {
  if (!slow_) return true;
  slow_ = false;
  close(1008, "slow consumer", EndReason::slow);
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
  read_on(
      true);  // the other side's close frame must be seen, also where the backend had paused reading
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
}

// From here on nothing reaches the session by this client, nor this client by the session.
void Client::end_session(EndReason reason, uint16_t code) {
  Session& session = *session_;
  session_ = nullptr;
  home_.sessions.end(session, reason, code);
}

void Client::linger() {
  if (phase_ == Phase::lingering || retired()) return;
  phase_ = Phase::lingering;
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
  // While the backend holds reading back, silence is not the client's.
  if (!reading()) heard();
  home_.sessions.publish_counts(*session_);
  if (listen.idle_timeout_ms != 0 && now >= last_in_ms_ + listen.idle_timeout_ms)
    return close(1001, "idle timeout", EndReason::idle);
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
  }
  Codec fresh = make_codec();
  const Codec& codec = codec_ ? *codec_ : fresh;
  if (const auto* decoder = std::get_if<ws::Decoder>(&codec)) {
    r.decoder = decoder->save();
  } else {
    const auto& framer = std::get<tcp::Framer>(codec);
    r.framer = {framer.partial(), uint8_t(framer.error()), framer.done()};
  }
  r.last_in_ms = last_in_ms_;
  r.last_ping_ms = pinged_after_ms_ == 0 ? 0 : last_in_ms_ + pinged_after_ms_;
  r.deadline_ms = at_ms();
  r.reading = reading();
  r.slow = slow_;
  r.shut = shut_;
  r.deflate = deflate_.packed();
  return r;
}

bool Client::restore_codec(handover::ClientRecord& r) {
  auto codec = std::make_unique<Codec>(make_codec());
  if (auto* decoder = std::get_if<ws::Decoder>(codec.get())) {
    if (!r.decoder || !decoder->restore(std::move(*r.decoder))) return false;
    if (!is_fresh(*decoder)) codec_ = std::move(codec);
    return true;
  }
  if (!r.framer || r.framer->error > uint8_t(tcp::FrameError::bad_length)) return false;
  auto& framer = std::get<tcp::Framer>(*codec);
  framer.restore(std::move(r.framer->partial), tcp::FrameError(r.framer->error), r.framer->done);
  if (!is_fresh(framer)) codec_ = std::move(codec);
  return true;
}

std::unique_ptr<Client> Client::restore(const ClientHome& home, UniqueFd fd,
                                        handover::ClientRecord&& r, Session* session) {
  bool sessions_agree = (session != nullptr) == ((r.session_hi | r.session_lo) != 0);
  if (!sessions_agree || r.phase > uint8_t(Phase::proxied))
    return nullptr;  // securing does not move
  if (session != nullptr && session->client != nullptr) return nullptr;
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
  if (!client->restore_codec(r)) return nullptr;
  bool waits = client->phase_ == Phase::handshake || client->phase_ == Phase::connecting;
  // Of a TCP connection there is one only where a PROXY header comes, or came with something behind it.
  if (client->phase_ == Phase::proxied || (waits && (client->websocket() || !r.early.empty()))) {
    client->handshake_ = client->make_handshake(origin);
    client->handshake_->key = std::move(r.key);
    client->handshake_->early = std::move(r.early);
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
  if (session != nullptr) session->client = client.get();
  client->read_on(r.reading);
  // What the configuration says now about pings and idleness counts from what came last.
  bool checks = client->has_session();
  uint64_t due = checks ? client->next_check() : r.deadline_ms;
  if (due != 0 && due != UINT64_MAX) client->arm(due);
  return client;
}

void Client::resume() {
  if (slow_ || !output_empty()) flush_soon();
}

void Client::pause_reading(bool pause) {
  if (phase_ != Phase::open) return;
  // What came meanwhile is about to be read: its silence is counted from now.
  if (!pause) heard();
  read_on(!pause);
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
      if (what == WindUp::all) close(1001, "server stopping", EndReason::stop);
      return;
    case Phase::closing:
    case Phase::lingering:
      return;
  }
}

}  // namespace holdfast
