#include "worker/clients/websocket.h"

#include <algorithm>

#include "wire/http/request.h"
#include "wire/ws/encoder.h"
#include "wire/ws/extensions.h"
#include "wire/ws/handshake.h"
#include "wire/ws/record.h"
#include "worker/clients/event_stream.h"
#include "worker/clients/stream_request.h"

namespace holdfast {

WebSocket::~WebSocket() {
  if (size_t bytes = window_bytes(); bytes != 0) runtime_.stats.ws_window_bytes.sub(bytes);
}

// ---- its session

std::unique_ptr<Entrance> WebSocket::make_entrance(const shm::SessionOrigin& origin) {
  return std::make_unique<Upgrade>(*this, origin);
}

void WebSocket::proceed(std::string_view early) {
  enter(Phase::handshake);
  if (!early.empty()) take_request(early);
}

bool WebSocket::speak(std::string_view subprotocol) {
  return entrance_ && upgrade().speak(subprotocol);
}

std::string_view WebSocket::subprotocol() const {
  return entrance_ ? std::string_view(upgrade().subprotocol()) : std::string_view();
}

std::vector<std::string> WebSocket::offered() const {
  return entrance_ ? upgrade().offered() : std::vector<std::string>();
}

// The 101, and the answer to one that wants to come back.
void WebSocket::greet(std::string_view extra_headers) {
  std::string extra = "Holdfast-Session: " + session_->id.hex() + "\r\n";
  extra += ws::extensions_line(deflate_);
  if (!subprotocol().empty())
    extra += http::header_line("Sec-WebSocket-Protocol", upgrade().subprotocol());
  extra += extra_headers;
  home().sessions.resume().agreed(*session_, subprotocol());
  if (deflate_.on()) runtime_.stats.ws_negotiated.add();
  std::string first = ws::accept_head(upgrade().key(), extra);
  if (std::string hello = upgrade().hello(*session_); !hello.empty()) {
    char head[10];
    first.append(head, ws::write_header(head, ws::Opcode::text, hello.size()));
    first += hello;
  }
  enqueue_first(BufferRef::concat(first));
}

void WebSocket::arrive(std::vector<uint16_t> asked) {
  upgrade().not_with(std::move(asked));
  if (admit_again()) resume();
}

void WebSocket::resume() {
  Client::resume();
  if (!entrance_ || !in_request()) return;
  if (upgrade().answers_later()) return ask_later();
  upgrade().answer_if_whole();
}

// ---- a request for a stream

std::string WebSocket::answer_lines() const {
  return entrance_ ? upgrade().answer_lines() : std::string();
}

// At the end of the turn: no bytes of this connection are in anybody's hands, nor ciphertext after them.
void WebSocket::answer_later() {
  if (in_request() && upgrade().answers_later()) upgrade().answer_stream();
}

void WebSocket::become_stream(const http::Request& request, const stream::Wishes& wishes,
                              const token::Claims* claims) {
  handover::ClientRecord record = save();
  record.transport = EventStream::kTransport;
  record.named_events = wishes.named;
  record.since = wishes.since;
  record.phase = uint8_t(Phase::connecting);
  record.deadline_ms = 0;
  if (record.tls) record.tls->counted = false;  // this one takes its sealed bytes out of the gauge
  ConnectionTable& table = home().table;
  std::unique_ptr<Client> made = restore(home(), table.release(*this), std::move(record), nullptr);
  HF_CHECK(made != nullptr);
  auto& stream = static_cast<EventStream&>(*made);
  table.restore(std::move(made));
  stream.begin(request, claims);
}

// ---- what it is sent

const BufferRef& WebSocket::framed(Payload& message) {
  return deflate_.on() ? message.deflated(home().listen, deflate_, runtime_)
                       : message.framed(home().listen);
}

// Control frames are none, and the answer to the hand-shake is none: the fourth bit of an `H` is set, too.
bool WebSocket::is_message(const BufferRef& queued) const {
  return (queued.bytes()[0] & 0x08) == 0;
}

void WebSocket::ping() {
  runtime_.stats.pings_sent.add();
  send_frame(ws::Opcode::ping, {});
}

void WebSocket::send_frame(ws::Opcode opcode, std::string_view payload) {
  char head[10];
  size_t n = ws::write_header(head, opcode, payload.size());
  enqueue(BufferRef::concat({head, n}, payload), Urgency::urgent);
}

bool WebSocket::say_goodbye(uint16_t code, std::string_view text) {
  enqueue(BufferRef::concat(ws::encode_close(code, text)), Urgency::urgent);
  return true;
}

// ---- decoding

ws::Decoder WebSocket::make_decoder() const {
  return ws::Decoder(uint32_t(runtime_.config.limits.max_message_size), deflate_,
                     &runtime_.inflater);
}

std::unique_ptr<KeptInput> WebSocket::make_kept() const {
  return std::make_unique<KeptCodec<ws::Decoder>>(make_decoder());
}

size_t WebSocket::window_bytes() const {
  if (!deflate_.client_takeover() || !kept_) return 0;
  return codec_of<ws::Decoder>(*kept_).window_bytes();
}

size_t WebSocket::feed(std::span<char> bytes) {
  if (!deflate_.client_takeover()) return feed_and_keep(bytes);
  size_t before = window_bytes();
  size_t used = feed_and_keep(bytes);
  if (size_t after = window_bytes(); after != before)
    runtime_.stats.ws_window_bytes.add(after - before);
  return used;
}

size_t WebSocket::feed_and_keep(std::span<char> bytes) {
  return holdfast::feed_and_keep<ws::Decoder>(
      kept_, [this] { return make_decoder(); },
      [&](ws::Decoder& decoder) {
        if (phase() == Phase::closing) decoder.skip_messages();
        return decoder.feed(bytes, *this);
      });
}

// After each frame but the last.
ws::Next WebSocket::next() {
  if (!goes_on()) return ws::Next::stop;
  return phase() == Phase::closing ? ws::Next::skip : ws::Next::decode;
}

bool WebSocket::on_message(ws::Opcode opcode, std::string_view payload) {
  return received(opcode == ws::Opcode::binary, payload);
}

bool WebSocket::on_ping(std::string_view payload) {
  // A client that pings and does not read would pile up pongs; past the bound it is a slow consumer.
  if (phase() != Phase::open) return true;
  if (unsent() > home().listen.send_queue) {
    close(EndReason::slow);
    return true;
  }
  send_frame(ws::Opcode::pong, payload);
  return true;
}

bool WebSocket::on_pong(std::string_view) {
  runtime_.stats.pongs_received.add();
  return true;
}

void WebSocket::on_close(uint16_t code, std::string_view) {
  if (phase() == Phase::open) {
    enqueue(BufferRef::concat(ws::encode_close(code == 1005 ? 0 : code, {})), Urgency::urgent);
    end_session(EndReason::client_closed, code);
  }
  linger();
}

void WebSocket::on_error(uint16_t close_code, std::string_view why) {
  // The stream cannot be trusted any more, so the other side's close frame is not waited for (RFC 6455 section 7.1.7).
  if (phase() == Phase::open) close(close_code, why, EndReason::protocol);
  linger();
}

void WebSocket::on_inflated(ws::Inflated outcome, size_t from, size_t to) {
  shm::StatsBlock& stats = runtime_.stats;
  // Bytes alone do not tell: a message may be made of thousands of blocks that give nothing.
  int64_t units = std::max(TurnBudget::inflated(from + to), int64_t(runtime_.inflater.took_us()));
  runtime_.budget.spend(units);
  if (outcome == ws::Inflated::broken) return stats.ws_inflate_failed.add();
  if (outcome == ws::Inflated::too_long) return stats.ws_inflate_too_long.add();
  stats.ws_inflated.add();
  stats.ws_inflated_from.add(from);
  stats.ws_inflated_to.add(to);
}

// ---- handover

void WebSocket::save_wire(handover::ClientRecord& r) const {
  r.decoder = kept_ ? codec_of<ws::Decoder>(*kept_).save() : make_decoder().save();
  r.deflate = deflate_.packed();
}

bool WebSocket::restore_wire(handover::ClientRecord& r) {
  std::optional<ws::DeflateTerms> terms = ws::DeflateTerms::unpack(r.deflate);
  if (!terms || !r.decoder) return false;
  deflate_ = *terms;
  ws::Decoder decoder = make_decoder();
  if (!decoder.restore(std::move(*r.decoder))) return false;
  if (!decoder.fresh()) kept_ = std::make_unique<KeptCodec<ws::Decoder>>(std::move(decoder));
  return true;
}

}  // namespace holdfast
