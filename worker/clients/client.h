// worker/clients/client.h - the connection of one client: hand-shake, codec, keep-alive, closing. WebSocket or framed TCP.
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
//   connecting  accept()                              open         101 (WebSocket), queued pushes follow
//   connecting  refuse()                              lingering    the status (WebSocket), nothing (TCP)
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
//   open        connection error                      (gone)       session ends
//   closing     close frame of the other side         lingering    -
//   lingering   everything sent                       lingering    shutdown(SHUT_WR)
//   lingering   end of file                           (gone)       when the queue is sent
//   closing, lingering   close_timeout                (gone)       -
//
// A connection of a proxy with proxy_protocol starts in `proxied`; a TCP connection in `connecting`, and it has no close frame:
// `closing` is `lingering` there.
// `half_closed` has no deadline of its own: it ends when the backend's have passed for the messages that
// wait there (at most max_pending). It begins with the end of the stream, which is read after all that came before it.
// In `closing` only the close frame matters: messages are skipped, not decoded; from `lingering` on nothing is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/pooled.h"
#include "wire/http/request.h"
#include "wire/tcp/framer.h"
#include "wire/ws/decoder.h"
#include "worker/clients/admission.h"
#include "worker/clients/record.h"
#include "worker/clients/refusal.h"
#include "worker/net/connection.h"
#include "worker/sessions/backend.h"
#include "worker/sessions/table.h"
#include "worker/sessions/transport.h"

namespace holdfast::tls {
class Context;
}
namespace holdfast::token {
struct Claims;
}
namespace holdfast::ws {
struct HandshakeVerdict;
}

namespace holdfast {

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
};

class Client : public Transport,
               public Pooled<Client>,
               private ws::FrameSink,
               private tcp::MessageSink {
 public:
  using Home = const ClientHome;
  using Record = handover::ClientRecord;

  // With TLS if the listener has it.
  static std::unique_ptr<Client> make(const ClientHome& home, UniqueFd fd);
  Client(const ClientHome& home, UniqueFd fd);
  ~Client() override;
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

  // Whether, and how, it takes deflated messages.
  ws::DeflateTerms deflate() const { return deflate_; }

  // Transport
  void accept(std::string_view extra_headers) override;
  using Transport::refuse;
  void refuse(int status, std::string_view body, EndReason reason) override;
  [[nodiscard]] bool speak(std::string_view subprotocol) override;
  std::string_view subprotocol() const override {
    return handshake_ ? std::string_view(handshake_->subprotocol) : std::string_view();
  }
  std::vector<std::string> offered() const override {
    return handshake_ ? handshake_->offered : std::vector<std::string>();
  }

  bool deliver(Payload& message, Urgency urgency) override;
  using Transport::close;
  void close(uint16_t code, std::string_view text, EndReason reason) override;
  void pause_reading(bool pause) override;
  void all_answered() override;
  void wind_up(WindUp what) override;
  void shed() override;

 protected:
  void on_bytes(std::span<char> bytes) override;
  void on_end_of_input() override;
  bool before_flush() override;
  void on_end() override;
  // The first bytes of a newcomer, after a PROXY header if there was one; `early`: those that have come.
  virtual void proceed(std::string_view early);
  bool proxied() const { return phase_ == Phase::proxied; }
  void secure() { phase_ = Phase::securing; }
  // The address that a TLS hand-shake counts for; empty: a unix socket, or a proxy that names no client.
  std::optional<in6_addr> newcomer() const;
  // The connection has sealed or opened so many records that its keys must not go on.
  void keys_used_up() { close(1012, "this connection's keys are used up", EndReason::limit); }
  void on_retire() override;
  const ClientHome& home() const { return home_; }

 private:
  enum class Phase : uint8_t {
    handshake,
    connecting,
    open,
    half_closed,
    closing,
    lingering,
    proxied,
    securing
  };
  // Before the session is open; of a TCP connection only if a PROXY header came first.
  struct Handshake {
    shm::SessionOrigin origin;
    http::RequestReader reader;
    std::string key = {};    // Sec-WebSocket-Key, once the request is whole
    std::string early = {};  // proxied: the bytes so far; later: the bytes after the request
    bool refused = false;    // answered that its address has too many connections
    std::vector<std::string> offered = {};  // subprotocols
    std::string subprotocol = {};           // of them, what the 101 will name; "": none
  };

  using Codec = std::variant<ws::Decoder, tcp::Framer>;
  // A client's input between two reads.
  struct Kept {
    Codec codec;
    std::unique_ptr<Undecoded> undecoded = {};  // not read while there is
  };

  void on_drained() override;
  void end_handshake();
  void on_deadline() override;

  std::unique_ptr<Handshake> make_handshake(const shm::SessionOrigin& origin) const;
  void feed_proxy_header(std::string_view bytes);
  void feed_handshake(std::string_view bytes);
  void answer_request(const http::Request& request);
  bool admit(shm::SessionOrigin& origin, bool can_tell,
             Admission::Who who = Admission::Who::client);
  void turn_away(Admission::Verdict why);
  void begin_session(shm::SessionOrigin& origin, const http::Request* request,
                     const token::Claims* claims = nullptr);
  void apply(const token::Claims& claims);
  void turn_down(Refusal why, int status, std::string_view text, std::string_view values = {},
                 std::string_view extra = {});
  void turn_down(const http::Request& request, const ws::HandshakeVerdict& verdict);
  bool judge_headers(const http::Request& request);
  bool choose_subprotocol(const http::Request& request);
  bool admit_named(const http::Request& request);
  bool read_token(const http::Request& request, std::optional<token::Claims>* claims);
  void answer_and_linger(int status, std::string_view type, std::string_view body,
                         std::string_view extra);
  void go_on() override;
  void take(std::span<char> bytes);
  bool takes_messages() const;
  bool may_decode() const;
  Undecoded* undecoded() const { return kept_ ? kept_->undecoded.get() : nullptr; }
  void keep_undecoded(std::unique_ptr<Undecoded> rest);
  void drop_undecoded();
  void settle_input();
  size_t decode(std::span<char> bytes);
  size_t feed_and_keep(std::span<char> bytes);
  size_t feed(Codec& codec, std::span<char> bytes);
  void linger();
  bool make_room(const BufferRef& framed, conf::SlowConsumer policy);
  bool has_session() const { return phase_ == Phase::open || phase_ == Phase::half_closed; }
  void end_session(EndReason reason, uint16_t code);
  void keep_alive_check();
  void heard();
  Codec make_codec() const;
  size_t window_bytes() const;
  uint64_t next_check() const;
  void save_input(handover::ClientRecord& record) const;
  bool restore_input(handover::ClientRecord& record);
  void send_frame(ws::Opcode opcode, std::string_view payload);
  bool received(bool binary, std::string_view data);

  bool on_message(ws::Opcode opcode, std::string_view payload) override;
  bool on_ping(std::string_view payload) override;
  bool on_pong(std::string_view payload) override;
  void on_close(uint16_t code, std::string_view reason) override;
  void on_error(uint16_t close_code, std::string_view why) override;
  void on_inflated(ws::Inflated outcome, size_t from, size_t to) override;
  ws::Next next() override;
  bool on_message(std::string_view message) override;  // tcp
  bool wants_more() override;                          // tcp

  bool pings() const { return websocket() && home_.listen.ping_interval_ms != 0; }
  // Before its request: can it get an answer that refuses it?
  bool tells() const { return websocket() && home_.tls == nullptr; }
  bool websocket() const { return home_.listen.protocol == conf::Protocol::websocket; }

  const ClientHome& home_;
  Session* session_ = nullptr;
  std::unique_ptr<Handshake> handshake_;
  // In the middle of a message, after the last one, while something is kept that the client may refer back to, and while
  // something is left to decode.
  std::unique_ptr<Kept> kept_;
  uint64_t last_in_ms_ = 0;
  uint32_t pinged_after_ms_ = 0;  // how long after it; 0: not since
  Phase phase_;
  bool slow_ : 1 = false;       // passed its bound: closed at the end of the turn
  bool shut_ : 1 = false;       // our direction is closed
  bool held_back_ : 1 = false;  // the backend takes no more messages
  ws::DeflateTerms deflate_;
};

}  // namespace holdfast
