// worker/backends/app_carrier.h - what brings requests to one kind of application server and answers back: FastCGI today.
//
// Below AppBackend, which decides what goes when; a carrier knows connections, encodings and servers, and no session's life.
// To write another: implement this, add a `kind` to the configuration and make it in registry.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "shm/session_directory.h"
#include "worker/backends/app_request.h"
#include "worker/sessions/backend.h"

namespace holdfast {

class AppCarrier {
 public:
  virtual ~AppCarrier() = default;

  // The part of a session's requests that stays the same, in the carrier's own encoding; AppBackend keeps it with the session, and
  // it travels as bytes. Made at the hand-shake, or of what the directory still has of a session whose worker died.
  virtual std::string session_facts(const Session& session, const Opening& opening) const = 0;
  virtual std::string orphan_facts(const shm::SessionView& view) const = 0;
  // The application has chosen another subprotocol than `before` ("": none).
  virtual void speak(std::string_view before, std::string_view chosen,
                     std::string& facts) const = 0;

  // The bytes that it holds until it is answered; 0: the queue is full, nothing was taken. Exactly one answer for each, never
  // during the call.
  [[nodiscard]] virtual size_t submit(AppRequest&& request) = 0;
  virtual size_t queued() const = 0;
  // Every 100 ms: deadlines, back-offs, idle connections. now_ms is process_ms(), or later.
  virtual void tick(uint64_t now_ms) = 0;
  // No connection is kept any more (the worker drains).
  virtual void keep_no_connections() = 0;

  // ---- handover, between two turns of the loop; if it comes to nothing, the carrier goes on
  // Idle connections are closed, and requests that no server can have read are queued again.
  virtual void requeue_unread() = 0;
  virtual std::string save() const = 0;
  // One for each request under way, with its descriptor (borrowed).
  virtual std::vector<std::pair<std::string, int>> carried() const = 0;
  // Successor, before anything else: the gauges already count all that is restored, and all answers go to `caller`. False: the
  // record makes no sense.
  [[nodiscard]] virtual bool restore(std::string_view record, AppCaller& caller) = 0;
  [[nodiscard]] virtual bool restore(std::string_view record, UniqueFd fd, AppCaller& caller) = 0;
};

}  // namespace holdfast
