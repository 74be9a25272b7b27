// worker/clients/client.h - the connection of one client, from accept to the end: what is the same on every wire. A wire derives from it
// (websocket.h, framed_tcp.h, event_stream.h) and says what differs: how a session is asked for, framed, pinged, said goodbye to.
//
// Its members by theme: client.cc (phases, session), client_input.cc (what it sends), slow_consumer.cc (what it is sent), keep_alive.cc,
// farewell.cc (how it ends), record.cc (handover). Before its session it has an Entrance (entrance.h).
//
//   phase       event                              -> phase        action
//   proxied     PROXY header complete                 securing, handshake   (TCP: securing, connecting)
//   proxied     no PROXY header, handshake_timeout    (gone)       counted
//   securing    TLS hand-shake done                   handshake    (TCP: connecting)
//   securing    TLS hand-shake fails, handshake_timeout (gone)     counted
//   handshake   request complete, good                connecting   Sessions::create(), Backend::open(), reading pauses
//   handshake   the listener's page asked for         lingering    200 and the page
//   handshake   bad request, other path, bad token, full  lingering  4xx or 5xx
//   (any before the session)  its address has too many  lingering  429 (WebSocket without TLS), counted
//   handshake   handshake_timeout                     (gone)       closed without an answer, counted
//   connecting  accept()                              open         101 (WebSocket), 200 (events), queued pushes follow
//   connecting  refuse()                              lingering    the status, nothing (TCP)
//   open        message                               open         Backend::message()
//   open, closing  its share of the turn is spent      -            the rest waits undecoded, reading pauses (input_queue.h)
//   open        the backend takes no more             open         likewise, until it does (pause_reading())
//   open        ping                                  open         pong
//   open        close frame                           lingering    close frame echoed, session ends
//   open        TCP end of file, backend busy         half_closed  its messages are answered
//   open        TCP end of file, else                 lingering    session ends
//   half_closed backend no longer busy (all_answered) lingering    likewise
//   half_closed connection error                      (gone)       session ends; it had said goodbye
//   half_closed kick, slow, failed message, stop      lingering    session ends
//   open        protocol error, kick, idle, slow ...  closing      close frame, session ends
//   open        connection error                      (gone)       session ends, or is detached (sessions/resume.h)
//   open        idle, and the session may wait        closing      close frame, session is detached
//   open        its client comes back by another one  closing      close frame, 4409; the session goes on there
//   handshake   another worker has its session        (gone)       given to it (passage.h); there it is in `handshake` again
//   handshake   its session is here                   open         101, the messages it missed
//   closing     close frame of the other side         lingering    -
//   lingering   everything sent                       lingering    shutdown(SHUT_WR)
//   lingering   end of file                           (gone)       when the queue is sent
//   closing, lingering   close_timeout                (gone)       -
//
// A connection of a proxy with proxy_protocol starts in `proxied`; a TCP connection in `connecting`, and it has no close frame:
// `closing` is `lingering` there, and for a stream of events, which begins in `connecting` as well.
// `half_closed` has no deadline of its own: it ends when the backend's have passed for the messages that
// wait there (at most max_pending). It begins with the end of the stream, which is read after all that came before it.
// In `closing` only the close frame matters: messages are skipped, not decoded; from `lingering` on nothing is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/pooled.h"
#include "worker/clients/admission.h"
#include "worker/clients/entrance.h"
#include "worker/clients/kept_input.h"
#include "worker/clients/record.h"
#include "worker/clients/refusal.h"
#include "worker/net/connection.h"
#include "worker/sessions/backend.h"
#include "worker/sessions/table.h"
#include "worker/sessions/transport.h"

namespace holdfast::http {
struct Request;
}
namespace holdfast::tls {
class Context;
}
namespace holdfast::token {
struct Claims;
}

namespace holdfast {

class Passage;

// The listener a client came by, resolved once for all its clients.
struct ClientHome {
  Runtime& runtime;
  ConnectionTable& table;
  Sessions& sessions;
  const conf::Listen& listen;
  uint16_t listener;  // index in Config::listens
  Backend& backend;
  Admission& admission;
  const tls::Context* tls = nullptr;  // null: newcomers speak without TLS
  Passage* passage = nullptr;         // null: there is no other worker
};

class Client : public Transport, public Pooled<Client> {
 public:
  using Home = const ClientHome;
  using Record = handover::ClientRecord;

  // Of the listener's wire, and with TLS if the listener has it.
  static std::unique_ptr<Client> make(const ClientHome& home, UniqueFd fd);
  void start(const shm::SessionOrigin& origin);

  // Handover: the record that travels beside the descriptor, and a client made of it. Null: the record
  // makes no sense here. `session`: the one that the record names, or null.
  virtual handover::ClientRecord save() const;
  std::string record() const override { return handover::save(save()); }
  ConnectionKind kind() const override { return ConnectionKind::client; }
  bool goes_with_session() const override { return session_ != nullptr; }
  bool half_closed() const override { return phase_ == Phase::half_closed; }
  static std::unique_ptr<Client> restore(const ClientHome& home, UniqueFd fd,
                                         handover::ClientRecord&& record, Session* session);
  void resume() override;
  const conf::Listen& listen() const { return home_.listen; }
  // Restored with a request that waits for its answer.
  virtual bool has_whole_request() const { return false; }

  // Transport
  void accept(std::string_view extra_headers) override;
  using Transport::refuse;
  void refuse(int status, std::string_view body, EndReason reason) override;
  bool deliver(Payload& message, Urgency urgency) override;
  void kept_out(std::string_view channel, std::string_view reason) override;
  using Transport::close;
  void close(uint16_t code, std::string_view text, EndReason reason) override;
  void give_way() override;
  void pause_reading(bool pause) override;
  void wind_up(WindUp what) override;
  void shed() override;

 protected:
  enum class Phase : uint8_t {  // the numbers travel
    handshake,
    connecting,
    open,
    half_closed,
    closing,
    lingering,
    proxied,
    securing
  };

  Client(const ClientHome& home, UniqueFd fd, Phase first);

  // ---- what a wire says

  // Its client asks for a session by HTTP, and is told what becomes of that. Else every connection asks for one.
  virtual bool has_request() const = 0;
  virtual std::unique_ptr<Entrance> make_entrance(const shm::SessionOrigin& origin) = 0;
  // The client's own bytes begin, after a PROXY header, if there was one, and TLS; `early`: those that have come.
  virtual void proceed(std::string_view early) = 0;
  virtual void take_request(std::string_view /*bytes*/) {}
  // Header lines of any answer to its request but the one that opens the session.
  virtual std::string answer_lines() const { return {}; }
  virtual std::string_view transport_name() const = 0;  // "websocket", "sse": for the application
  // Before the next flush, after ask_later(): no bytes of this connection are in anybody's hands then.
  virtual void answer_later() {}
  // The session is there, and the back end has not heard of it.
  virtual void begun() {}
  // The session is accepted: what goes before all messages.
  virtual void greet(std::string_view /*extra_headers*/) {}
  // The message is about to be queued, as these bytes.
  virtual void before_message(const Payload& /*message*/, const BufferRef& /*bytes*/, Urgency) {}
  // Empty: the message cannot be sent on this wire.
  virtual const BufferRef& framed(Payload& message) = 0;
  // Queued bytes that may go for later ones.
  virtual bool is_message(const BufferRef& queued) const = 0;
  // True: said so, and the other side's answer is awaited.
  virtual bool say_goodbye(uint16_t code, std::string_view text) = 0;
  virtual uint64_t ping_interval_ms() const { return 0; }  // 0: it has none
  // Its silence for idle_timeout means that it is gone.
  virtual bool owes_a_sign() const { return true; }
  virtual void ping() {}
  // Decodes; how many of the bytes are dealt with. What is kept, it keeps in kept_.
  virtual size_t feed(std::span<char> bytes) = 0;
  virtual std::unique_ptr<KeptInput> make_kept() const = 0;
  // The codec, and what was agreed with the client. False: it makes no sense.
  virtual void save_wire(handover::ClientRecord& record) const = 0;
  virtual bool restore_wire(handover::ClientRecord& record) = 0;

  // ---- what it gives a wire

  const ClientHome& home() const { return home_; }
  Phase phase() const { return phase_; }
  void enter(Phase phase) { phase_ = phase; }
  void ask_later() {
    later_ = asks_before_flush_ = true;
    flush_soon();
  }
  // What `origin` counts for passes to the session, if there is one.
  void begin_session(shm::SessionOrigin& origin, const http::Request* request,
                     const token::Claims* claims = nullptr);
  // The session of one that comes back: `missed` goes to it first. What `origin` counts for passes to the session.
  void go_on_with(Session& session, shm::SessionOrigin& origin,
                  const std::vector<BufferRef>& missed);
  // Given by another worker, from which it has come with nothing but its Entrance.
  bool admit_again();
  // A message for the back end. False: the wire is to decode no more.
  bool received(bool binary, std::string_view data);
  // After each message: may the next one be decoded in this turn?
  bool goes_on();
  void answer_and_linger(int status, std::string_view type, std::string_view body,
                         std::string_view extra);
  void end_session(EndReason reason, uint16_t code);
  void linger();
  void heard();  // a sign of life
  void leave_entrance();

  // ---- Connection, and TLS between it and a wire

  void on_bytes(std::span<char> bytes) override;
  void on_end_of_input() override;
  bool before_flush() override;
  void on_end() override;
  void on_retire() override;
  bool proxied() const { return phase_ == Phase::proxied; }
  void secure() { phase_ = Phase::securing; }
  // The address that a TLS hand-shake counts for; empty: a unix socket, or a proxy that names no client.
  std::optional<in6_addr> newcomer() const;
  // The connection has sealed or opened so many records that its keys must not go on.
  void keys_used_up() { close(1012, "this connection's keys are used up", EndReason::limit); }

  // Before the session is open; of a TCP connection only if a PROXY header or TLS comes first.
  std::unique_ptr<Entrance> entrance_;
  std::unique_ptr<KeptInput> kept_;
  Session* session_ = nullptr;

 private:
  friend class Entrance;

  // client.cc
  void apply(const token::Claims& claims);
  void on_deadline() override;
  // Before its request: can it get an answer that refuses it?
  bool tells() const { return has_request() && home_.tls == nullptr; }
  bool has_session() const { return phase_ == Phase::open || phase_ == Phase::half_closed; }
  // client_input.cc
  void go_on() override;
  void take(std::span<char> bytes);
  bool takes_messages() const;
  bool may_decode() const;
  size_t decode(std::span<char> bytes);
  Undecoded* undecoded() const { return kept_ ? kept_->undecoded.get() : nullptr; }
  void keep_undecoded(std::unique_ptr<Undecoded> rest);
  void drop_undecoded();
  void settle_input();
  // slow_consumer.cc
  bool make_room(const BufferRef& message, conf::SlowConsumer policy);
  // keep_alive.cc
  void keep_alive_check();
  uint64_t next_check() const;
  // farewell.cc
  void on_drained() override;
  bool detach();
  void say_goodbye_and_go(uint16_t code, std::string_view text);
  // record.cc
  bool restore_state(handover::ClientRecord& record, Session* session);
  bool restore_input(handover::ClientRecord& record);

  const ClientHome& home_;
  uint64_t last_in_ms_ = 0;
  uint32_t pinged_after_ms_ = 0;  // how long after it; 0: not since
  Phase phase_;
  bool slow_ : 1 = false;       // passed its bound: closed at the end of the turn
  bool shut_ : 1 = false;       // our direction is closed
  bool held_back_ : 1 = false;  // the backend takes no more messages
  bool later_ : 1 = false;      // answer_later()
};

}  // namespace holdfast
