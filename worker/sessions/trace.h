// worker/sessions/trace.h - what happens to sessions, users and channels, for whoever traces them (observe/tracer.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/net/runtime.h"

namespace holdfast {

struct Session;

// What happened; fields that do not apply are left out of the line.
struct TraceEvent {
  std::string_view event;  // "open", "message", "deliver", ...: holdfast-api(7) lists them
  const Session* session = nullptr;
  std::string_view channel = {};
  std::string_view user = {};  // where there is no session
  size_t bytes = SIZE_MAX;     // of the message; SIZE_MAX: none
  std::string_view detail = {};
};

class TraceSink {
 public:
  // Does anybody listen?
  bool on() const { return on_; }
  virtual void note(const TraceEvent& event) = 0;

 protected:
  ~TraceSink() = default;
  bool on_ = false;
};

// The one line that an event costs while nobody listens.
inline void trace(TraceSink* sink, const TraceEvent& event) {
  if (sink != nullptr && sink->on()) sink->note(event);
}

}  // namespace holdfast
