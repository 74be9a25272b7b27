// worker/sessions/transport.h - what carries one session to its client: a WebSocket, framed TCP or a stream of events.
//
// Owner: ConnectionTable, as of every Connection. A session may be without one: its client is gone and a close event is owed.
// What implements this asks the message for the bytes of its own wire, and decides what its close codes say there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/channels/catch_up.h"
#include "worker/channels/payload.h"
#include "worker/net/connection.h"
#include "worker/sessions/session.h"

namespace holdfast {

class Transport : public Connection {
 public:
  using Connection::Connection;

  // Answers of Backend::open(), one of them once, now or later. `extra_headers`: complete header lines for the client, or "".
  virtual void accept(std::string_view extra_headers) = 0;
  virtual void refuse(int status, std::string_view body, EndReason reason) = 0;
  void refuse(int status, std::string_view body) { refuse(status, body, EndReason::refused); }
  // Before accept(): the subprotocol that is agreed to, instead of the one that the listener's settings have chosen. False: the
  // client has not offered it.
  [[nodiscard]] virtual bool speak(std::string_view subprotocol) = 0;
  virtual std::string_view subprotocol() const = 0;  // "": none
  virtual std::vector<std::string> offered()
      const = 0;  // subprotocols, while the session is opened

  // Queues one message. False: the client is closing; or the message was dropped and counted, for it cannot be sent, or because the
  // bound of unsent bytes was passed, for which the listener or the channel has a policy. To be closed, the session waits
  // for the end of this turn: the caller may be walking a channel's members.
  virtual bool deliver(Payload& message, Urgency urgency) = 0;
  // The session has what it missed in a channel, or is told that there is more (channels/catch_up.h): before the messages.
  virtual void caught_up(const CaughtUp& /*told*/) {}
  // It is not let into the channel, or may not publish there (`reason`): backends/permits.h.
  virtual void kept_out(std::string_view /*channel*/, std::string_view /*reason*/) {}
  // Ends the session, says why, and goes.
  virtual void close(uint16_t code, std::string_view text, EndReason reason) = 0;
  // With the code and the text that end_reason.def has for it.
  void close(EndReason reason) { close(facts_of(reason).code, facts_of(reason).text, reason); }
  // Another connection carries the session from here on: this one says so, 4409, and goes without ending it.
  virtual void give_way() = 0;
  // Back-pressure from the backend.
  virtual void pause_reading(bool pause) = 0;
  // Backend::busy() has become false. May end the session, and with it all the backend knows of it.
  virtual void all_answered() = 0;
  // The client has said goodbye; the session ends when the backend has answered what came before.
  virtual bool half_closed() const = 0;
};

}  // namespace holdfast
