// worker/reply_actions.h - what an application asks for in the headers of its answer, carried out in one place.
//
// Order: Holdfast-User, -Join, -Leave, -Data; then the body (to the sender, or with Holdfast-Publish to channels); then
// Holdfast-Close. So an application that joins a room and publishes to it in one answer reaches the newcomer too.
// A header that makes no sense (invalid name, no code) is left out, counted (backend.bad_headers) and logged; the others are
// carried out. With Holdfast-Publish the body never goes to the sender, also where no channel named in it is valid.
#pragma once

#include "worker/fcgi/pool.h"
#include "worker/hub.h"
#include "worker/router.h"
#include "worker/runtime.h"
#include "worker/sessions.h"

namespace holdfast {

class ReplyActions {
 public:
  ReplyActions(Runtime& runtime, Sessions& sessions, Hub& hub, Router& router)
      : runtime_(runtime), sessions_(sessions), hub_(hub), router_(router) {}

  // Everything up to the body. The session may have ended: then only Holdfast-Publish has an effect.
  void before_close(Session& session, const fcgi::Answer& answer);
  // Holdfast-Close, if there is one and the session lives.
  void close(Session& session, const fcgi::Answer& answer);

 private:
  void session_header(Session& session, std::string_view name, std::string_view value);
  void set_data(Session& session, std::string_view assignment);
  void body(Session& session, const fcgi::Answer& answer);
  void bad(const Session& session, std::string_view name, std::string_view why);

  Runtime& runtime_;
  Sessions& sessions_;
  Hub& hub_;
  Router& router_;
  LogGate gate_;
};

}  // namespace holdfast
