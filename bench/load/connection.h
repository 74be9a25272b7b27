// bench/load/connection.h - one WebSocket, or one RESP subscriber, seen from the client.
//
//  state        event                      -> state       told to the sink
//  unborn       start                         connecting
//  connecting   socket writable               handshaking
//  connecting   error                         ended       connect_failed
//  handshaking  101 with the right accept,    open        on_open
//               or the subscription confirmed
//  handshaking  other answer, end of stream   ended       refused
//  handshaking  end() by its user, too late   ended       timed_out
//  open         message                       open        on_message
//  open         ping                          open        (pong)
//  open         end of stream, close frame    ended       closed
//               (RESP: the answer to QUIT)
//  open, ...    frame no server may send      ended       broken
//  open         goodbye()                     leaving
//  leaving      end of stream                 ended       left
//  open         cut()                         ended       left
//
// Reads into memory of the caller; keeps bytes only of an unfinished frame and of what the socket
// did not take.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "bench/load/sequence.h"
#include "conf/config.h"
#include "wire/ws/client.h"

namespace holdfast::bench {

class Connection;

enum class End : uint8_t { connect_failed, refused, timed_out, closed, broken, left };

class ConnectionSink {
 public:
  virtual void on_open(Connection& connection, std::string_view session) = 0;
  virtual void on_message(Connection& connection, std::string_view payload) = 0;
  virtual void on_end(Connection& connection, End why) = 0;  // its descriptor is closed

 protected:
  ~ConnectionSink() = default;
};

// Where connections go, the same for all of a process.
struct Endpoint {
  const conf::Address* address = nullptr;
  std::string host;        // of the Host header
  uint32_t source_ip = 0;  // IPv4, network order; 0 = the kernel chooses
  int epoll = -1;
  bool resp = false;  // subscribers
  std::string token;  // of subscribers; "" = none
};

enum class Started : uint8_t { under_way, later, failed };

class Connection {
 public:
  enum class State : uint8_t { unborn, connecting, handshaking, open, leaving, ended };

  // `target`: path and query, or the channel of a subscriber. `place` comes back in the event's
  // data. later: the server's queue (unix) is full; still unborn.
  Started start(const Endpoint& where, std::string_view target, uint32_t place, uint64_t now_ns);
  // `scratch` is room for one read. May end the connection.
  void on_ready(const Endpoint& where, uint32_t events, std::span<char> scratch,
                ConnectionSink& sink);
  // WebSocket only.
  void send(const Endpoint& where, ws::Opcode opcode, std::string_view payload);
  // A close frame or QUIT; the server closes. Only while open.
  void goodbye(const Endpoint& where);
  void end(End why, ConnectionSink& sink);
  // By a reset: no goodbye, as if the network had gone. It may start again.
  void cut(ConnectionSink& sink);

  State state() const { return state_; }
  bool under_way() const { return state_ == State::connecting || state_ == State::handshaking; }
  uint32_t place() const { return place_; }
  uint64_t began_ns() const { return began_ns_; }
  int refusal_status() const { return refusal_status_; }  // 0: no answer, or none that is HTTP

  // Of the user of this class.
  SequenceCheck check;
  uint64_t sent = 0;         // echo: the last sequence sent
  uint32_t outstanding = 0;  // echo: not back yet
  bool was_open = false;

 private:
  bool open_socket(const Endpoint& where);
  void on_connected(const Endpoint& where, ConnectionSink& sink);
  void on_readable(const Endpoint& where, std::span<char> scratch, ConnectionSink& sink);
  size_t take_handshake(const Endpoint& where, std::string_view bytes, ConnectionSink& sink);
  size_t take_frames(const Endpoint& where, std::string_view bytes, ConnectionSink& sink);
  bool take_frame(const Endpoint& where, const ws::Frame& frame, ConnectionSink& sink);
  void flush(const Endpoint& where);
  void watch(const Endpoint& where, uint32_t events);
  std::string key() const;

  UniqueFd fd_;
  State state_ = State::unborn;
  bool watching_out_ = false;
  int refusal_status_ = 0;
  uint32_t place_ = 0;
  uint64_t began_ns_ = 0;
  std::string in_;   // unfinished
  std::string out_;  // not taken by the socket yet
};

}  // namespace holdfast::bench
