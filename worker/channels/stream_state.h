// worker/channels/stream_state.h - what is said about a channel's stream (streams.h), and asked.
#pragma once

#include <cstdint>
#include <string>

#include "base/position.h"

namespace holdfast {

struct KeptMessage {
  uint64_t offset = 0;
  uint64_t age_ms = 0;
  bool binary = false;
  std::string data;
};

// Of a channel's stream as a whole.
struct StreamState {
  Position top;        // of the last message; epoch 0: there is no stream
  uint64_t first = 0;  // the oldest kept offset; 0: none is kept
  uint64_t messages = 0;
  uint64_t bytes = 0;  // of shared memory
  uint64_t early = 0;  // messages that were pushed out before their time
};

// What is asked of it.
struct StreamRange {
  Position
      since;  // after it; unknown: from the oldest on. With `reverse`: before it; unknown: from the newest on
  uint32_t limit = 0;
  bool reverse = false;
  bool newest = false;  // if they are too many for one answer: those up to the last one
};

}  // namespace holdfast
