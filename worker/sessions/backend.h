// worker/sessions/backend.h - the part that answers a listener's clients: the application behind FastCGI, or a built-in.
//
// Contract, per session: open() once; then, if the session was accepted, message() any number of times; gone() once, when
// the session ends in whatever phase (also by the backend's own refuse()). The backend calls Sessions::forget() exactly once,
// in gone() or later, when it owes the session nothing any more; until then the Session stays alive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "shm/session_directory.h"
#include "wire/http/request.h"
#include "worker/sessions/session.h"
#include "worker/sessions/transport.h"

namespace holdfast {

class Payload;

// All that is known of a connection when its session opens; valid during open().
struct Opening {
  const http::Request* request;  // null for TCP
  std::string remote_address, server_address;
  uint16_t remote_port, server_port;
  std::string_view transport = {};    // "websocket", "tcp", "sse"
  std::string_view subprotocol = {};  // that the listener's settings have chosen; "": none
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Answers by Transport::accept() or Transport::refuse(), now or later.
  virtual void open(Session& session, const Opening& opening) = 0;
  virtual void message(Session& session, bool binary, std::string_view data) = 0;
  // True: no messages from any client just now. They stay with their clients, which are not read meanwhile, until it is false.
  virtual bool held_up() const { return false; }
  virtual void gone(Session& session) = 0;
  // Do messages of this session wait for an answer? When that ends, the backend calls Transport::all_answered().
  virtual bool busy(const Session&) const { return false; }
  // Another transport carries the session now: it is to be paused if the last one was, and would be still.
  virtual void came_back(Session&) {}
  // A session whose worker died owing its close event; ended already.
  virtual void adopt(Session& session, const shm::SessionView& view) = 0;
  virtual void tick() {}
  // Handover: its own state of a session, as a record, and back. False: the record makes no sense.
  virtual std::string save(const Session&) const { return {}; }
  virtual bool restore(Session&, std::string_view) { return true; }
  // The same of all that is not one session's: "" where there is nothing. restore() comes after all sessions, and writes nothing
  // into the segment.
  using SessionById = std::function<Session*(const shm::SessionId&)>;
  virtual std::string save() const { return {}; }
  virtual bool restore(std::string_view, const SessionById&) { return false; }
  // Requests that cannot be taken back, each with the descriptor of its connection. Before it: those that can be, are.
  virtual void requeue_unread() {}
  virtual std::vector<std::pair<std::string, int>> carried() const { return {}; }
  virtual bool restore(std::string_view, UniqueFd) { return false; }
  // The worker drains: no kept connections.
  virtual void drain() {}
  // Gives up the events that are still owed (the worker ends now): counts and logs them.
  virtual void abandon() {}
};

}  // namespace holdfast
