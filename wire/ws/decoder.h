// wire/ws/decoder.h - WebSocket frames from clients to messages (RFC 6455, sections 5, 7.4, 8.1;
// RFC 7692, section 6.2). Pure bytes.
//
// State is small while idle (no allocation between messages) and complete: DecoderState and the two
// strings of DecoderPartial are all there is to save and restore in the middle of a frame, beside the window of a client.
//
// Rules enforced, each with the close code it costs:
//   1002  RSV bit without extension, RSV1 elsewhere than on the first frame of a message,
//         unknown opcode, client frame without mask,
//         control frame longer than 125 or fragmented, continuation without a start,
//         new message inside a fragmented one, length not in its shortest form,
//         64-bit length with the top bit, close payload of 1 byte, close code not
//         allowed on the wire
//   1007  text that is not UTF-8, as soon as the first wrong byte is there ("failed
//         fast"), or a close reason that is not, when its frame is whole; a deflated message
//         that cannot be inflated, or is such text then, when it is whole
//   1009  message longer than max_message, judged by the frame's header before any
//         memory is taken; a deflated message, longer than one of max_message can be, judged
//         likewise, or longer than max_message while it is inflated
//
// A deflated message is kept as it comes and inflated when it is whole: so its state can be saved
// at every byte, and zlib's own, which cannot, is one for all connections.
//
// Invariants
//   I1  feed() called with any division of the same bytes produces the same calls on the sink.
//   I2  Memory held between calls: only the bytes of an unfinished message (at most max_message;
//       deflated, deflated_bound() of it) or control frame (at most 125) that have come, and, if
//       the client takes its context over, the bytes it may refer back to (at most its window). A
//       length that a header announces takes none.
//   I3  After an error, a close frame or a sink's `false` the decoder is done: further feed() calls
//       consume everything and report nothing.
//   I4  If the sink wants no more for now, feed() stops between two frames; the bytes it has not used are as they came, still
//       masked, and are fed again later.
//   I5  Once it skips, payload of messages is neither unmasked, kept, inflated nor looked at; control frames are reported as ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "wire/codec.h"
#include "wire/ws/deflate.h"
#include "wire/ws/mask.h"
#include "wire/ws/utf8.h"

namespace holdfast::ws {

enum class Opcode : uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

// The treatment of the bytes after a frame.
enum class Next : uint8_t {
  decode,
  skip,  // only control frames matter from here on: the session is over, its close frame is awaited
  stop   // not now // I4
};

// The receiver of a decoder's output. Views are valid during the call only. A sink that wants no more (it closed
// the connection inside a call) returns false, and feed() stops there.
class FrameSink {
 public:
  // text or binary, unmasked, whole
  virtual bool on_message(Opcode opcode, std::string_view payload) = 0;
  virtual bool on_ping(std::string_view payload) = 0;
  virtual bool on_pong(std::string_view payload) = 0;
  // code 1005 if the close frame had none (RFC 6455 7.1.5).
  virtual void on_close(uint16_t code, std::string_view reason) = 0;
  virtual void on_error(uint16_t close_code, std::string_view why) = 0;
  // Asked after each frame, fragment or not, while bytes are left.
  virtual Next next() { return Next::decode; }
  // For counters: a message of `from` bytes was inflated to `to`. It, or its error, is reported next.
  virtual void on_inflated(Inflated, size_t /*from*/, size_t /*to*/) {}

 protected:
  ~FrameSink() = default;
};

// The position of a decoder, apart from payload bytes. Values are offsets and flags of this host only.
struct DecoderState {
  uint32_t payload_left = 0;              // of the current frame; valid if in_frame
  MaskKey key{};                          // likewise
  uint8_t head[14]{};                     // bytes of an unfinished frame header
  uint8_t head_bytes = 0;                 // how many of them; 0 inside a frame
  Opcode frame = Opcode::continuation;    // of the current frame; valid if in_frame
  Opcode message = Opcode::continuation;  // of the unfinished message; continuation: there is none
  Utf8 utf8 = Utf8::start;                // at the end of an unfinished text message's bytes
  bool in_frame = false;                  // header whole, payload not
  bool fin = false;                       // of the current frame
  bool finished = false;                  // I3
  bool deflated = false;                  // the unfinished message is
  bool skips = false;                     // I5
};
static_assert(std::is_trivially_copyable_v<DecoderState>);

// Payload that has come and cannot be reported yet, unmasked. Exists only then. // I2
struct DecoderPartial {
  std::string message;
  std::string control;  // a control frame may stand between the fragments of a message
};

// All that a decoder holds, to go on elsewhere in the middle of a frame.
struct DecoderRecord {
  DecoderState state;
  std::string message, control;  // as in DecoderPartial
  std::string window;            // the bytes that the client may refer back to
};

class Decoder {
 public:
  using Sink = FrameSink;
  using Record = DecoderRecord;

  // `inflater`: needed if messages may be deflated; used within feed() only.
  explicit Decoder(uint32_t max_message, DeflateTerms terms = {}, Inflater* inflater = nullptr)
      : max_message_(max_message), terms_(terms), inflater_(inflater) {}
  // Takes all of `bytes`, or those before the frame at which the sink wants no more; returns how many. Unmasks them in
  // place. A frame that lies whole in them is reported without a copy.
  size_t feed(std::span<char> bytes, FrameSink& sink);
  void skip_messages();  // I5
  bool finished() const { return state_.finished; }
  // Inside a frame or a fragmented message: a byte boundary that still has state to carry.
  bool mid_message() const {
    return !state_.finished && (state_.in_frame || state_.head_bytes > 0 || inside_message());
  }
  // As one that is newly made.
  bool fresh() const { return !mid_message() && !finished() && window_bytes() == 0; }
  // Bytes of earlier messages that are kept, because the client may refer back to them.
  size_t window_bytes() const { return window_ == nullptr ? 0 : window_->size(); }
  DecoderRecord save() const;
  // False: no decoder can be in such a state.
  bool restore(DecoderRecord&& record);
  // Bytes allocated for mid_message() and window_bytes().
  size_t held_bytes() const;

 private:
  bool makes_sense(const DecoderRecord& record) const;
  // To the first two bytes of a frame's header; "": none.
  std::string_view objection(const DecoderState& state) const;
  // Bytes of a message that are kept until it is whole.
  uint32_t most(bool deflated) const {
    return deflated ? deflated_bound(max_message_) : max_message_;
  }
  bool inside_message() const { return state_.message != Opcode::continuation; }
  bool fill_head(std::span<char>& bytes, size_t need);
  bool take_head(std::span<char>& bytes, FrameSink& sink);
  bool judge_head(FrameSink& sink);
  bool begin_frame(FrameSink& sink);
  void take_payload(std::span<char>& bytes, FrameSink& sink);
  void skip_payload(std::span<char>& bytes);
  void take_control(std::string_view piece, bool last, FrameSink& sink);
  void take_data(std::string_view piece, bool last, FrameSink& sink);
  void take_deflated(std::string_view piece, bool last, FrameSink& sink);
  void tell_control(std::string_view payload, FrameSink& sink);
  void tell_close(std::string_view payload, FrameSink& sink);
  void tell_message(std::string_view payload, FrameSink& sink);
  void tell_deflated(std::string_view payload, FrameSink& sink);
  void remember(std::string_view message);
  DecoderPartial& partial();
  void finish();
  bool fail(FrameSink& sink, uint16_t code, std::string_view why);

  uint32_t max_message_;
  DecoderState state_;
  DeflateTerms terms_;
  std::unique_ptr<DecoderPartial> partial_;
  std::unique_ptr<std::string> window_;
  Inflater* inflater_;
};
static_assert(sizeof(Decoder) <= 64, "there is one for every connection");
static_assert(Codec<Decoder>);

// Is `code` one a peer may send (RFC 6455 7.4, IANA registry: 1000-1003, 1007-1014, 3000-4999)?
bool valid_close_code(uint16_t code);

}  // namespace holdfast::ws
