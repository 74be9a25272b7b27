// worker/channels/catch_up.h - a member that comes back to a channel with a stream gets what it has missed.
//
// A session or a subscriber that has joined names the position up to which it has the channel's messages. Until the answer of the
// channel's home is here it gets none of them; then those after its position, in order, each once, and from there on all others
// as they come. It is not told of anything in between, because there is nothing: what the home has sent before its answer is in the
// answer, and what it sends afterwards is not (one ring carries both).
#pragma once

#include <optional>
#include <string_view>

#include "base/position.h"

namespace holdfast {

struct ChannelMember;

// What becomes of it, before the messages.
struct CaughtUp {
  std::string_view channel;
  bool asked = false;      // it had named a position
  bool recovered = false;  // everything between that and `at` follows
  Position
      at;  // the last message of the channel; unknown: it has no stream, or its home does not answer
};

class CatchUp {
 public:
  // `who` is a member of the channel. `since` unknown: it only wants to know the position from which on it gets messages.
  // The answer is Transport::caught_up() or Subscriber::caught_up(), never during this call.
  virtual void begin(ChannelMember& who, std::string_view channel, const Position& since) = 0;
  // With which position it waits; nothing: it does not.
  virtual std::optional<Position> since_of(const ChannelMember& who,
                                           std::string_view channel) const = 0;

 protected:
  ~CatchUp() = default;
};

}  // namespace holdfast
