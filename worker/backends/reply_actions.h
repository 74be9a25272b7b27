// worker/backends/reply_actions.h - the requests in the headers of an application's answer, carried out in one place.
//
// Order: Holdfast-User, -Join, -Leave, -Data; then the body (to the sender, or with Holdfast-Publish to channels); then
// Holdfast-Close. So an application that joins a room and publishes to it in one answer reaches the newcomer too.
// A header that makes no sense (invalid name, no code) is left out, counted (backend.bad_headers) and logged; the others are
// carried out. One that begins with Holdfast- and is none of these is counted and logged as well, with the most similar one.
// With Holdfast-Publish the body never goes to the sender, even if no channel named in it is valid.
// Of one answer at most kMostItems things are carried out (a user, a channel to join, to leave or to publish to, a key of data);
// the others are left out, counted and logged likewise.
// While a publish of the same session is still being handed to many, later requests wait for it (push_carrier.h).
// A body that is too long for a message reaches nobody, also with Holdfast-Publish: the session that
// sent the request's message is closed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "worker/backends/app_request.h"
#include "worker/channels/hub.h"
#include "worker/net/runtime.h"
#include "worker/routing/router.h"
#include "worker/sessions/table.h"

namespace holdfast {

class ReplyActions {
 public:
  static constexpr size_t kMostItems = 4'096;

  ReplyActions(Runtime& runtime, Sessions& sessions, Router& router)
      : runtime_(runtime), sessions_(sessions), router_(router) {}

  // Everything up to the body. The session may have ended: then only Holdfast-Publish has an
  // effect. False: the body cannot be a message (max_message_size, or the listener's length field,
  // is too small for it); counted and logged.
  [[nodiscard]] bool before_close(Session& session, const AppAnswer& answer);
  // Holdfast-Close, if there is one and the session lives.
  void close(Session& session, const AppAnswer& answer);

  // Before anything of an answer: the pushes of its script by other workers were there first.
  void catch_up() { router_.catch_up(); }

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  class Items;

  bool waits(const Session& session) const;
  void execute(const Session& session, Command& command);
  void set_user(Session& session, std::string_view user);
  void join_or_leave(Session& session, Op op, std::string_view channel);
  void read_assignment(const Session& session, std::string_view assignment, Pairs& pairs);
  void set_data(Session& session, Pairs&& pairs);
  bool body(Session& session, const AppAnswer& answer, Items& items);
  bool deliver(Session& session, std::string_view body, bool binary);
  bool too_long(const Session& session, size_t bytes, uint64_t limit);
  void unknown_headers(const Session& session, const AppAnswer& answer);
  void bad(const Session& session, std::string_view name, std::string_view why);

  Runtime& runtime_;
  Sessions& sessions_;
  Router& router_;
  LogGate gate_, too_long_gate_;
};

}  // namespace holdfast
