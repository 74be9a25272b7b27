// worker/backends/builtin.h - backends that need nothing else installed: `echo` and `relay`.
#pragma once

#include "base/log.h"
#include "worker/channels/hub.h"
#include "worker/net/runtime.h"
#include "worker/routing/router.h"
#include "worker/sessions/backend.h"
#include "worker/sessions/table.h"

namespace holdfast {

// The common part: every hand-shake is accepted, the session joins the channels of its listener and, for the relay,
// those its URL names; no events, so a session is forgotten as soon as it is gone.
class BuiltinBackend : public Backend {
 public:
  BuiltinBackend(Runtime& runtime, Sessions& sessions) : runtime_(runtime), sessions_(sessions) {}
  void gone(Session& session) override { sessions_.forget(session); }
  // Owed to an application that a reload has taken from this listener.
  void adopt(Session& session, const shm::SessionView&) override {
    runtime_.stats.events_close_lost.add();
    sessions_.forget(session);
  }

 protected:
  Runtime& runtime_;
  Sessions& sessions_;
};

// Sends each message back to its sender.
class EchoBackend final : public BuiltinBackend {
 public:
  using BuiltinBackend::BuiltinBackend;
  void open(Session& session, const Opening& opening) override;
  void message(Session& session, bool binary, std::string_view data) override;
};

// Publishes each message to the channels the sender's URL names (`/ws?channel=a&channel=b`), or else its listener's.
class RelayBackend final : public BuiltinBackend {
 public:
  RelayBackend(Runtime& runtime, Sessions& sessions, Router& router)
      : BuiltinBackend(runtime, sessions), router_(router) {}
  void open(Session& session, const Opening& opening) override;
  void message(Session& session, bool binary, std::string_view data) override;
  bool held_up() const override { return runtime_.budget.congested(); }
  void came_back(Session& session) override { router_.hold_while_waiting(session); }

 private:
  void refuse(const Session& session, const Opening& opening, int status, std::string_view text,
              std::string_view channel);

  Router& router_;
  LogGate refused_gate_;
};

}  // namespace holdfast
