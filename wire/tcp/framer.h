// wire/tcp/framer.h - messages on a TCP stream: length field or delimiter (conf::Framing says
// which). Pure bytes.
//
// All state is the bytes of the unfinished message: its header is read again from them.
//
// Invariants
//   I1  feed() with any division of the same bytes gives the same messages.
//   I2  A length is judged before memory is taken; memory held between calls is at most one
//       unfinished message, never more than max_message plus the header (length) or the delimiter,
//       and only for bytes that have come. max_message bounds the sink's part: with strip the
//       message, else the whole frame.
//   I3  After an error the framer is done: it takes everything, calls nothing and keeps the error. After a
//       sink's `false` it is done too, without error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "wire/codec.h"

namespace holdfast::tcp {

enum class FrameError : uint8_t {
  none,
  too_long,
  bad_length
};  // bad_length: shorter than its own header

class MessageSink {
 public:
  // A view that is valid during the call. False: stop feeding (the connection is closing).
  virtual bool on_message(std::string_view message) = 0;
  // Asked after each message while bytes are left. False: not now, feed() stops there.
  virtual bool wants_more() { return true; }

 protected:
  ~MessageSink() = default;
};

// All that a framer holds, to go on elsewhere by one of the same framing.
struct FramerRecord {
  std::string partial;
  uint8_t error = 0;  // FrameError
  bool done = false;
};

class Framer {
 public:
  using Sink = MessageSink;
  using Record = FramerRecord;

  Framer(const conf::Framing& framing, uint32_t max_message)
      : framing_(&framing), max_message_(max_message) {}
  // Takes all of `bytes`, or those before the message at which the sink wants no more; returns how many. A message
  // that lies whole in them is passed on without a copy. The caller looks at error() then.
  size_t feed(std::span<const char> bytes, MessageSink& sink);
  bool mid_message() const { return !partial_.empty(); }
  // As one that is newly made.
  bool fresh() const { return !mid_message() && !done_ && error_ == FrameError::none; }
  FrameError error() const { return error_; }
  FramerRecord save() const { return {partial_, uint8_t(error_), done_}; }
  // False: no framer can be in such a state.
  bool restore(FramerRecord&& record);
  // Bytes allocated for the unfinished message.
  size_t held_bytes() const { return partial_.capacity(); }

 private:
  void feed_length(std::string_view& bytes, MessageSink& sink);
  bool finish_partial(std::string_view& bytes, MessageSink& sink);
  bool judge(std::string_view frame, uint64_t* total);
  void feed_delimiter(std::string_view& bytes, MessageSink& sink);
  void keep(std::string_view& bytes, size_t most);
  bool goes_on(std::string_view bytes, MessageSink& sink) const;
  void take_delimited(std::string_view& bytes, size_t end, MessageSink& sink);
  void tell(std::string_view message, MessageSink& sink);
  void fail(FrameError error);

  size_t header_size() const { return framing_->offset + framing_->size; }
  size_t stripped() const { return framing_->strip ? header_size() : 0; }

  const conf::Framing* framing_;  // the worker's Config outlives it
  uint32_t max_message_;
  FrameError error_ = FrameError::none;
  bool done_ = false;  // I3
  std::string partial_;
};

static_assert(Codec<Framer>);

// Bytes to send for one message. With strip (length): length field, then the message. Without
// strip: the message as it is (the application made the header). Delimiter: message, then the
// delimiter. Empty answer: too long for the length field.
std::string encode(const conf::Framing& framing, std::string_view message);

}  // namespace holdfast::tcp
