// worker/reply_actions.h - what an application asks for in the headers of its answer, carried out in one place.
//
// Order: Holdfast-User, -Join, -Leave, -Data; then the body (to the sender, or with Holdfast-Publish to channels); then
// Holdfast-Close. So an application that joins a room and publishes to it in one answer reaches the newcomer too.
// A header that makes no sense (invalid name, no code) is left out, counted (backend.bad_headers) and logged; the others are
// carried out. One that begins with Holdfast- and is none of these is counted and logged as well, with the nearest that is. With Holdfast-Publish the body never goes to the sender, also where no channel named in it is valid.
// A body that is too long for a message reaches nobody, also with Holdfast-Publish: whoever sent
// the request's message is told.
#pragma once

#include "worker/fcgi/pool.h"
#include "worker/hub.h"
#include "worker/router.h"
#include "worker/runtime.h"
#include "worker/sessions.h"

namespace holdfast {

class ReplyActions {
 public:
  ReplyActions(Runtime& runtime, Sessions& sessions, Router& router)
      : runtime_(runtime), sessions_(sessions), router_(router) {}

  // Everything up to the body. The session may have ended: then only Holdfast-Publish has an
  // effect. False: the body cannot be a message (max_message_size, or the listener's length field,
  // is too small for it); counted and logged.
  [[nodiscard]] bool before_close(Session& session, const fcgi::Answer& answer);
  // Holdfast-Close, if there is one and the session lives.
  void close(Session& session, const fcgi::Answer& answer);

 private:
  void session_header(Session& session, std::string_view name, std::string_view value);
  void set_data(Session& session, std::string_view assignment);
  bool body(Session& session, const fcgi::Answer& answer);
  bool deliver(Session& session, std::string_view body, bool binary);
  bool too_long(const Session& session, size_t bytes, uint64_t limit);
  void unknown_headers(const Session& session, const fcgi::Answer& answer);
  void bad(const Session& session, std::string_view name, std::string_view why);

  Runtime& runtime_;
  Sessions& sessions_;
  Router& router_;
  LogGate gate_, too_long_gate_;
};

}  // namespace holdfast
