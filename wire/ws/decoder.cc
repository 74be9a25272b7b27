#include "wire/ws/decoder.h"

#include <algorithm>
#include <utility>

#include "base/bounded_append.h"
#include "base/bytes.h"
#include "simdjson.h"

namespace holdfast::ws {
namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kRsv = 0x70;
constexpr uint8_t kRsv1 = 0x40;
constexpr uint8_t kOpcode = 0x0F;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLength = 0x7F;
constexpr uint8_t kLength16 = 126;
constexpr uint8_t kLength64 = 127;
constexpr size_t kMaxControl = 125;

bool is_control(Opcode opcode) {
  return (uint8_t(opcode) & 0x08) != 0;
}

bool is_known(uint8_t opcode) {
  return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

size_t head_size(uint8_t second_byte) {
  uint8_t length = second_byte & kLength;
  size_t extended = length == kLength16 ? 2 : length == kLength64 ? 8 : 0;
  return 2 + extended + 4;
}

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace

bool valid_close_code(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

size_t Decoder::feed(std::span<char> bytes, FrameSink& sink) {
  size_t all = bytes.size();
  while (!bytes.empty() && !state_.finished) {
    if (!state_.in_frame && !take_head(bytes, sink)) break;
    take_payload(bytes, sink);  // also with nothing left: an empty frame ends with its header
    if (bytes.empty() || state_.finished) break;
    Next next = sink.next();
    if (next == Next::stop) return all - bytes.size();  // I4
    if (next == Next::skip) skip_messages();
  }
  return all;
}

void Decoder::skip_messages() {
  if (std::exchange(state_.skips, true) || partial_ == nullptr) return;
  std::string().swap(partial_->message);
  if (partial_->control.empty()) partial_.reset();
}

// Whoever adds a member to the decoder adds it to DecoderState, or says here why it need not travel:
// max_message_ is the configuration's, terms_ the client's (ClientRecord), inflater_ the process's.
static_assert(sizeof(Decoder) == 64);

DecoderRecord Decoder::save() const {
  DecoderRecord record{state_, {}, {}, {}};
  if (window_ != nullptr) record.window = *window_;
  if (partial_ != nullptr) {
    record.message = partial_->message;
    record.control = partial_->control;
  }
  return record;
}

bool Decoder::makes_sense(const DecoderRecord& record) const {
  const DecoderState& s = record.state;
  bool inside = s.message != Opcode::continuation;
  bool control = s.in_frame && is_control(s.frame), data = s.in_frame && !control;
  bool head = s.head_bytes < sizeof s.head && (s.head_bytes < 2 || objection(s).empty());
  bool frame = is_known(uint8_t(s.frame)) && s.message <= Opcode::binary && s.utf8 <= Utf8::wrong &&
               (!data || inside);
  // A message that is longer than this process's bound is judged by its next frame.
  bool payload =
      record.control.size() + (control ? s.payload_left : 0) <= (control ? kMaxControl : 0) &&
      (inside || record.message.empty());
  bool agreed =
      (!s.deflated || (terms_.on() && inside)) &&
      (record.window.empty() ||
       (terms_.client_takeover() && record.window.size() <= size_t{1} << terms_.client_bits()));
  return head && frame && payload && agreed;
}

bool Decoder::restore(DecoderRecord&& record) {
  if (!record.state.finished && !makes_sense(record)) return false;  // I3
  state_ = record.state;
  partial_.reset();
  window_.reset();
  if (!record.window.empty()) window_ = std::make_unique<std::string>(std::move(record.window));
  if (record.message.empty() && record.control.empty()) return true;
  partial() = {std::move(record.message), std::move(record.control)};
  return true;
}

size_t Decoder::held_bytes() const {
  size_t bytes = window_ == nullptr ? 0 : sizeof(std::string) + window_->capacity();
  if (partial_ == nullptr) return bytes;
  return bytes + sizeof *partial_ + partial_->message.capacity() + partial_->control.capacity();
}

// ---- header

bool Decoder::fill_head(std::span<char>& bytes, size_t need) {
  if (state_.head_bytes >= need) return true;
  size_t n = std::min(need - state_.head_bytes, bytes.size());
  std::copy_n(bytes.data(), n, state_.head + state_.head_bytes);
  state_.head_bytes = uint8_t(state_.head_bytes + n);
  bytes = bytes.subspan(n);
  return state_.head_bytes == need;
}

// True: a frame has begun. The first two bytes are judged as soon as they are there.
bool Decoder::take_head(std::span<char>& bytes, FrameSink& sink) {
  if (state_.head_bytes < 2 && !(fill_head(bytes, 2) && judge_head(sink))) return false;
  return fill_head(bytes, head_size(state_.head[1])) && begin_frame(sink);
}

bool Decoder::judge_head(FrameSink& sink) {
  std::string_view why = objection(state_);
  return why.empty() || fail(sink, 1002, why);
}

std::string_view Decoder::objection(const DecoderState& s) const {
  uint8_t first = s.head[0], second = s.head[1];
  auto opcode = Opcode(first & kOpcode);
  bool inside = s.message != Opcode::continuation;
  // RSV1: the message that begins here is deflated.
  bool may_deflate = terms_.on() && !is_control(opcode) && opcode != Opcode::continuation;
  if ((first & kRsv) != 0 && ((first & kRsv) != kRsv1 || !may_deflate)) return "reserved bit set";
  if (!is_known(first & kOpcode)) return "unknown opcode";
  if (is_control(opcode)) {
    if ((first & kFin) == 0) return "fragmented control frame";
    if ((second & kLength) > kMaxControl) return "control frame too long";
  } else if (opcode == Opcode::continuation) {
    if (!inside) return "continuation of nothing";
  } else if (inside) {
    return "new message inside a fragmented one";
  }
  return (second & kMasked) == 0 ? "frame without mask" : "";
}

bool Decoder::begin_frame(FrameSink& sink) {
  const uint8_t* head = state_.head;
  uint64_t length = head[1] & kLength;
  if (length == kLength16) {
    length = load_be16(head + 2);
    if (length < kLength16) return fail(sink, 1002, "length not in its shortest form");
  } else if (length == kLength64) {
    length = load_be64(head + 2);
    if (length >> 63 != 0) return fail(sink, 1002, "length with its top bit set");
    if (length <= UINT16_MAX) return fail(sink, 1002, "length not in its shortest form");
  }
  auto opcode = Opcode(head[0] & kOpcode);
  if (!is_control(opcode)) {
    if (opcode != Opcode::continuation) {
      state_.message = opcode;
      state_.deflated = (head[0] & kRsv1) != 0;
    }
    size_t before = partial_ == nullptr ? 0 : partial_->message.size();
    uint32_t bound = most(state_.deflated);
    if (before > bound || length > bound - before) return fail(sink, 1009, "message too long");
  }
  state_.frame = opcode;
  state_.fin = (head[0] & kFin) != 0;
  state_.payload_left = uint32_t(length);
  std::copy_n(head + state_.head_bytes - 4, 4, state_.key.data());
  state_.head_bytes = 0;
  state_.in_frame = true;
  return true;
}

// ---- payload

void Decoder::take_payload(std::span<char>& bytes, FrameSink& sink) {
  if (state_.skips && !is_control(state_.frame)) return skip_payload(bytes);
  size_t n = std::min<size_t>(state_.payload_left, bytes.size());
  apply_mask(bytes.data(), n, state_.key);
  std::string_view piece(bytes.data(), n);
  bytes = bytes.subspan(n);
  state_.payload_left -= uint32_t(n);
  bool last = state_.payload_left == 0;
  if (last) state_.in_frame = false;
  if (is_control(state_.frame)) {
    take_control(piece, last, sink);
  } else {
    take_data(piece, last, sink);
  }
}

// I5
void Decoder::skip_payload(std::span<char>& bytes) {
  size_t n = std::min<size_t>(state_.payload_left, bytes.size());
  bytes = bytes.subspan(n);
  state_.payload_left -= uint32_t(n);
  if (state_.payload_left != 0) return;
  state_.in_frame = false;
  if (!state_.fin) return;
  state_.message = Opcode::continuation;
  state_.deflated = false;
}

void Decoder::take_control(std::string_view piece, bool last, FrameSink& sink) {
  bool kept = partial_ != nullptr && !partial_->control.empty();
  if (last && !kept) return tell_control(piece, sink);
  if (!piece.empty()) bounded_append(partial().control, piece, kMaxControl);
  if (!last) return;
  std::string payload;
  payload.swap(partial_->control);
  if (partial_->message.empty()) partial_.reset();
  tell_control(payload, sink);
}

void Decoder::take_data(std::string_view piece, bool last, FrameSink& sink) {
  if (state_.deflated) return take_deflated(piece, last, sink);
  bool whole = last && state_.fin;
  bool text = state_.message == Opcode::text;
  if (whole && partial_ == nullptr) {  // all of the message lies in `piece`
    if (text && !is_utf8(piece)) {
      fail(sink, 1007, "text is not UTF-8");
      return;
    }
    return tell_message(piece, sink);
  }
  if (text) {
    state_.utf8 = utf8_feed(state_.utf8, piece);
    if (state_.utf8 == Utf8::wrong || (whole && state_.utf8 != Utf8::start)) {
      fail(sink, 1007, "text is not UTF-8");
      return;
    }
  }
  if (!piece.empty()) bounded_append(partial().message, piece, max_message_);
  if (!whole) return;
  std::unique_ptr<DecoderPartial> done = std::move(partial_);
  tell_message(done->message, sink);
}

void Decoder::take_deflated(std::string_view piece, bool last, FrameSink& sink) {
  bool whole = last && state_.fin;
  if (whole && partial_ == nullptr) return tell_deflated(piece, sink);
  if (!piece.empty()) bounded_append(partial().message, piece, deflated_bound(max_message_));
  if (!whole) return;
  std::unique_ptr<DecoderPartial> done = std::move(partial_);
  tell_deflated(done->message, sink);
}

// ---- telling: the state is that of the next frame before the sink is called

void Decoder::tell_message(std::string_view payload, FrameSink& sink) {
  Opcode opcode = state_.message;
  state_.message = Opcode::continuation;
  if (!sink.on_message(opcode, payload)) finish();
}

void Decoder::tell_deflated(std::string_view payload, FrameSink& sink) {
  std::string message;
  std::string_view before = window_ == nullptr ? std::string_view() : *window_;
  Inflated outcome = inflater_->inflate(payload, before, max_message_, message);
  sink.on_inflated(outcome, payload.size(), message.size());
  if (outcome == Inflated::too_long) {
    fail(sink, 1009, "message too long");
  } else if (outcome == Inflated::broken) {
    fail(sink, 1007, "message cannot be inflated");
  } else if (state_.message == Opcode::text && !is_utf8(message)) {
    fail(sink, 1007, "text is not UTF-8");
  } else {
    state_.deflated = false;
    if (terms_.client_takeover() && !message.empty()) remember(message);
    tell_message(message, sink);
  }
}

// The end of all messages that were deflated, as much as the client's window is.
void Decoder::remember(std::string_view message) {
  size_t most = size_t{1} << terms_.client_bits();
  if (message.size() > most) message.remove_prefix(message.size() - most);
  if (window_ == nullptr) window_ = std::make_unique<std::string>();
  size_t keep = std::min(window_->size(), most - message.size());
  window_->erase(0, window_->size() - keep);
  bounded_append(*window_, message, most);
}

void Decoder::tell_control(std::string_view payload, FrameSink& sink) {
  switch (state_.frame) {
    case Opcode::ping:
      if (!sink.on_ping(payload)) finish();
      return;
    case Opcode::pong:
      if (!sink.on_pong(payload)) finish();
      return;
    default:
      return tell_close(payload, sink);
  }
}

void Decoder::tell_close(std::string_view payload, FrameSink& sink) {
  uint16_t code = 1005;
  if (payload.size() == 1) {
    fail(sink, 1002, "close frame with half a code");
    return;
  }
  if (payload.size() >= 2) {
    code = load_be16(payload.data());
    payload.remove_prefix(2);
    if (!valid_close_code(code)) {
      fail(sink, 1002, "close code not allowed");
      return;
    }
    if (!is_utf8(payload)) {
      fail(sink, 1007, "close reason is not UTF-8");
      return;
    }
  }
  finish();
  sink.on_close(code, payload);
}

// ---- ends

DecoderPartial& Decoder::partial() {
  if (partial_ == nullptr) partial_ = std::make_unique<DecoderPartial>();
  return *partial_;
}

void Decoder::finish() {
  state_.finished = true;  // I3
  partial_.reset();
  window_.reset();
}

// Always false, for callers that answer "go on?".
bool Decoder::fail(FrameSink& sink, uint16_t code, std::string_view why) {
  finish();
  sink.on_error(code, why);
  return false;
}

}  // namespace holdfast::ws
