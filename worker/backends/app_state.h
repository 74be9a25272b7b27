// worker/backends/app_state.h - what an AppBackend keeps of a session. For its own sources only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "worker/backends/app_backend.h"

namespace holdfast {

struct AppBackend::State final : BackendState {
  struct Waiting {
    bool binary;
    uint32_t counted;
    std::string data;
  };
  // Before the hand-shake is answered, if its URL names channels for which there are rules.
  struct Asking {
    std::deque<std::string> channels;  // not settled yet; the first is being asked for
    std::string lines;                 // of the answer to the hand-shake
  };
  std::unique_ptr<Asking> asking;
  std::string facts;  // AppCarrier::session_facts()
  std::deque<Waiting> waiting;
  size_t bytes = 0;  // of messages.waiting_bytes: of those that wait and of those in flight
  unsigned in_flight = 0;
  bool owes_close = false;
  bool paused = false;    // reading from the client
  bool held = false;      // its connect event waits in held_
  uint64_t retry_ms = 0;  // back-off of the close event
  uint64_t give_up_ms =
      0;  // when the close event is lost; while held: when the connect event has waited enough
};

}  // namespace holdfast
