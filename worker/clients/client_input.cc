// What a client sends, once it may: from bytes to messages, one share of a turn at a time.

#include <algorithm>

#include "simdjson.h"
#include "wire/ws/encoder.h"
#include "wire/ws/record.h"
#include "worker/clients/client.h"
#include "worker/clients/record.h"
#include "worker/sessions/trace.h"

namespace holdfast {

// ---- whose turn it is

// What has just been read, or came behind the hand-shake.
void Client::take(std::span<char> bytes) {
  if (Undecoded* waiting = undecoded()) return waiting->append(bytes);
  runtime_.budget.begin_share(TurnBudget::kFirstShare);
  size_t used = may_decode() ? decode(bytes) : 0;
  if (used == bytes.size() || !takes_messages()) return;
  runtime_.stats.loop_cut_short.add();
  keep_undecoded(std::make_unique<Undecoded>(home_.table.input(), *this, bytes.subspan(used),
                                             Undecoded::Gauge::counts));
  settle_input();
}

// Its own while it is decoded: the session may end meanwhile, and then the rest goes.
void Client::go_on() {
  std::unique_ptr<Undecoded> waiting = std::move(kept_->undecoded);
  runtime_.budget.begin_share();
  if (may_decode()) waiting->take(decode(waiting->rest()));
  if (!takes_messages()) return;
  if (!waiting->rest().empty()) keep_undecoded(std::move(waiting));
  settle_input();
}

// False: whatever is left comes too late.
bool Client::takes_messages() const {
  return !retired() && (phase_ == Phase::open || phase_ == Phase::closing);
}

bool Client::may_decode() const {
  return phase_ == Phase::closing || (!held_back_ && !home_.backend.held_up());
}

void Client::keep_undecoded(std::unique_ptr<Undecoded> rest) {
  if (!kept_) kept_ = std::make_unique<Kept>(Kept{make_codec()});
  kept_->undecoded = std::move(rest);
}

void Client::drop_undecoded() {
  if (kept_) kept_->undecoded.reset();
}

// Whether what waits has turns, and whether the socket is read. One of both, or neither.
void Client::settle_input() {
  bool held = held_back_ && phase_ == Phase::open;
  Undecoded* waiting = undecoded();
  if (waiting != nullptr) held ? waiting->stand_aside() : waiting->join();
  read_on(waiting == nullptr && !held);
}

// From within message(), too: then not one more is decoded.
void Client::pause_reading(bool pause) {
  if (phase_ != Phase::open) return;
  // What came meanwhile is about to be read: its silence is counted from now.
  if (!pause) heard();
  held_back_ = pause;
  settle_input();
}

// ---- decoding

Client::Codec Client::make_codec() const {
  auto max = uint32_t(runtime_.config.limits.max_message_size);
  if (websocket()) return Codec(std::in_place_type<ws::Decoder>, max, deflate_, &runtime_.inflater);
  return Codec(std::in_place_type<tcp::Framer>, *home_.listen.framing, max);
}

size_t Client::window_bytes() const {
  if (!deflate_.client_takeover() || !kept_) return 0;
  return std::get<ws::Decoder>(kept_->codec).window_bytes();
}

// How many of the bytes are dealt with.
size_t Client::decode(std::span<char> bytes) {
  runtime_.budget.spend(TurnBudget::kMessage);
  if (!deflate_.client_takeover()) return feed_and_keep(bytes);
  size_t before = window_bytes();
  size_t used = feed_and_keep(bytes);
  if (size_t after = window_bytes(); after != before)
    runtime_.stats.ws_window_bytes.add(after - before);
  return used;
}

// Most messages come whole, and between two of them a codec has nothing to remember.
size_t Client::feed_and_keep(std::span<char> bytes) {
  auto fresh = [](const auto& codec) { return codec.fresh(); };
  if (kept_) {
    size_t used = feed(kept_->codec, bytes);
    if (std::visit(fresh, kept_->codec)) kept_.reset();
    return used;
  }
  Codec codec = make_codec();
  size_t used = feed(codec, bytes);
  if (!std::visit(fresh, codec)) kept_ = std::make_unique<Kept>(Kept{std::move(codec)});
  return used;
}

size_t Client::feed(Codec& codec, std::span<char> bytes) {
  if (auto* decoder = std::get_if<ws::Decoder>(&codec)) {
    if (phase_ == Phase::closing) decoder->skip_messages();
    return decoder->feed(bytes, *this);
  }
  auto& framer = std::get<tcp::Framer>(codec);
  size_t used = framer.feed(bytes, *this);
  switch (framer.error()) {
    case tcp::FrameError::none:
      break;
    case tcp::FrameError::too_long:
      close(1009, "message too long", EndReason::protocol);
      break;
    case tcp::FrameError::bad_length:
      close(1002, "bad length", EndReason::protocol);
      break;
  }
  return used;
}

// Behind each frame but the last: what a fragment or a ping costs, too.
ws::Next Client::next() {
  runtime_.budget.spend(TurnBudget::kMessage);
  if (runtime_.budget.share_spent() || !may_decode()) return ws::Next::stop;
  return phase_ == Phase::closing ? ws::Next::skip : ws::Next::decode;
}

bool Client::wants_more() {
  runtime_.budget.spend(TurnBudget::kMessage);
  return !runtime_.budget.share_spent() && may_decode();
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
  if (phase_ != Phase::open) return false;
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
    close(EndReason::slow);
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

void Client::save_input(handover::ClientRecord& r) const {
  Codec fresh = make_codec();
  const Codec& codec = kept_ ? kept_->codec : fresh;
  if (const auto* decoder = std::get_if<ws::Decoder>(&codec)) {
    r.decoder = decoder->save();
  } else {
    r.framer = std::get<tcp::Framer>(codec).save();
  }
  if (Undecoded* waiting = undecoded())
    r.undecoded.assign(waiting->rest().data(), waiting->rest().size());
  r.held_back = held_back_;
}

bool Client::restore_input(handover::ClientRecord& r) {
  Codec codec = make_codec();
  bool fresh = false;
  if (auto* decoder = std::get_if<ws::Decoder>(&codec)) {
    if (!r.decoder || !decoder->restore(std::move(*r.decoder))) return false;
    fresh = decoder->fresh();
  } else {
    auto& framer = std::get<tcp::Framer>(codec);
    if (!r.framer || !framer.restore(std::move(*r.framer))) return false;
    fresh = framer.fresh();
  }
  if (!fresh) kept_ = std::make_unique<Kept>(Kept{std::move(codec)});
  held_back_ = r.held_back || (phase_ == Phase::open && !r.reading && r.undecoded.empty());
  if (r.undecoded.empty()) return true;
  if (!takes_messages() || r.reading) return false;
  keep_undecoded(std::make_unique<Undecoded>(home_.table.input(), *this, r.undecoded,
                                             Undecoded::Gauge::counted));
  return true;
}

}  // namespace holdfast
