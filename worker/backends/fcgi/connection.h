// worker/backends/fcgi/connection.h - one connection to one server of a backend, and the request it carries.
//
// It knows bytes, deadlines and the certain facts about a request that failed; the pool (its owner)
// knows servers, retries and callers. The state table stands in pool.h.
//
// Invariants
//   I1  A connection carries a request in every state but idle and gone, and then owns it.
//   I2  Every call to the owner but on_open() is the last thing a function here does: the owner may
//       take the request away, give another one or retire the connection (Loop::defer_delete), but
//       never destroys it during the call.
//   I3  After close() nothing calls the owner any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/event.h"
#include "base/fd.h"
#include "conf/config.h"
#include "shm/stats.h"
#include "wire/fcgi/records.h"
#include "worker/backends/fcgi/exchange.h"
#include "worker/backends/fcgi/stderr_log.h"

namespace holdfast::fcgi {

class Connection;

// How a request ended on a connection.
enum class End : uint8_t {
  complete,    // END_REQUEST with REQUEST_COMPLETE; take_output() is the answer
  not_taken,   // the connection ended, and certainly no server process has read any of the request
  overloaded,  // END_REQUEST said FCGI_OVERLOADED or FCGI_CANT_MPX_CONN before any output
  unknown_role,  // END_REQUEST said FCGI_UNKNOWN_ROLE: not run, and no server would
  lost,          // the connection ended, or its bytes made no sense; the request may have run
  timed_out,
  too_large,
};

class ConnectionOwner {
 public:
  // There is a connection now; the request is about to be sent. The owner only takes note of it.
  virtual void on_open(Connection& connection) = 0;
  // No connection. The request is still carried. in_time: connect_timeout has not passed, and
  // tick() tries again unless the owner takes the request.
  virtual void on_refused(Connection& connection, int error, bool in_time) = 0;
  // The request has ended and is still carried; unless `end` is complete, the connection is of no
  // more use.
  virtual void on_end(Connection& connection, End end) = 0;
  // An idle connection ended.
  virtual void on_idle_end(Connection& connection) = 0;
  // After call_when_read(): the server has read something.
  virtual void on_read(Connection& connection) = 0;
  // Monotonic; never earlier than a time it gave to a connection before.
  virtual uint64_t now_ms() const = 0;

 protected:
  ~ConnectionOwner() = default;
};

// The common part of the connections of a pool.
struct ConnectionShared {
  Loop& loop;
  const conf::Backend& backend;
  const std::vector<conf::BackendServer>& servers;
  shm::StatsBlock& stats;
  StderrLog& stderr_log;
  ConnectionOwner& owner;
  std::span<char> scratch;
  size_t unix_terminator_bytes;  // measure_unix_terminator()
};

class Connection final : private RecordSink {
 public:
  enum class State : uint8_t { connecting, sending, waiting, answering, idle, gone };

  Connection(const ConnectionShared& shared, size_t server) : shared_(shared), server_(server) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(); }

  // A new connection for `exchange`. May call the owner at once.
  void open(ExchangePtr exchange, bool keep, uint64_t now_ms);
  // idle -> sending. May call the owner at once.
  void carry(ExchangePtr exchange, bool keep, uint64_t now_ms);
  // Deadlines, and another attempt to connect. May call the owner.
  void tick(uint64_t now_ms);
  // complete -> idle.
  void rest(uint64_t now_ms);
  // Closes without a call to the owner. `answered`: nothing is owed either way, so TCP needs no
  // TIME_WAIT here.
  void close(bool answered = false);

  // Whether it has to move with its descriptor: bytes of its request are sent.
  bool under_way() const;
  // The record that travels beside the descriptor; fd() is borrowed. Needs under_way().
  CarriedRecord save() const;
  int fd() const { return fd_.get(); }
  // Into a new one. The gauges know of it already. False: the record makes no sense.
  bool restore(CarriedRecord&& record, ExchangePtr exchange, UniqueFd fd);

  State state() const { return state_; }
  size_t server() const { return server_; }
  uint64_t born_ms() const { return born_ms_; }
  uint64_t idle_since_ms() const { return idle_since_ms_; }
  Exchange& exchange() { return *exchange_; }
  ExchangePtr take_exchange();
  std::string take_output() { return std::move(output_); }
  uint8_t said() const { return said_; }
  // idle: whether the server has neither closed it nor sent anything.
  bool still_open() const;
  // Whether the reading of the server's process can be seen at all: on unix sockets (SIOCOUTQ).
  bool shows_reading() const { return address().is_unix() && shared_.unix_terminator_bytes > 0; }
  // The server's process has read all that we sent. Needs shows_reading().
  bool all_read() const;
  // idle, waiting: on_read() is called when the server reads something, from now on and while this lives.
  void call_when_read();
  // On an earlier answer's connection, and for so long no byte came back.
  bool is_late(uint64_t now_ms, uint64_t patience_ms) const;
  // When its request began here.
  uint64_t began_ms() const { return began_ms_; }
  // Whether another request may follow the one that is complete.
  bool reusable() const;
  // Whether its request still waits for a server process, as far as we can see (pool.h,
  // "Starvation").
  bool starves(uint64_t now_ms);

 private:
  // Of a connect: under way, or to be tried again because the server's backlog was full, it
  // refused, or we had no socket.
  enum class Phase : uint8_t { in_progress, backlog_full, refused, no_socket };

  bool on_stdout(std::string_view bytes) override;
  bool on_stderr(std::string_view bytes) override;
  void on_end(uint32_t app_status, ProtocolStatus status) override;

  void begin(ExchangePtr exchange, bool keep, uint64_t now_ms);
  void attempt();
  void wait_and_retry(Phase phase, int error);
  void refuse(int error);
  void connected();
  void tick_connecting(uint64_t now_ms);
  void on_ready(short ready);
  void send_some();
  void write_pending();
  void receive();
  bool take(std::string_view bytes);
  End end_of(ProtocolStatus status) const;
  void end_of_input(int error);
  short watch_for_answer() const;
  bool certainly_not_read(int error) const;
  bool half_closed() const;
  bool starves_long(uint64_t now_ms);
  bool seen_by_server() const;
  size_t unread_bytes() const;
  void finish(End end);
  void set_waits(bool waits);
  bool all_sent() const { return sent_ == exchange_->bytes.size(); }
  const conf::Address& address() const { return shared_.servers[server_].address; }

  const ConnectionShared& shared_;
  const size_t server_;
  UniqueFd fd_;  // before the event that watches it
  std::optional<IoEvent> io_;
  State state_ = State::connecting;
  Phase phase_ = Phase::in_progress;
  int error_ = 0;  // of the last connect, or of a write
  ExchangePtr exchange_;
  RecordReader reader_;
  std::string output_;                    // STDOUT so far
  std::string stderr_line_;               // the line that has no end yet
  size_t sent_ = 0;                       // of exchange_->bytes
  std::optional<ProtocolStatus> status_;  // END_REQUEST has come
  uint64_t began_ms_ = 0;                 // of this request on this connection
  uint64_t sign_of_life_ms_ = 0;
  uint64_t born_ms_ = 0;
  uint64_t idle_since_ms_ = 0;
  bool keep_ = false;      // FCGI_KEEP_CONN was asked for
  bool counted_ = false;   // in backend.connections
  bool waits_ = false;     // in backend.waiting
  bool proven_ = false;    // a server process has this connection
  bool received_ = false;  // any byte of this request's answer
  bool reused_ = false;    // an earlier request was answered on it
  bool spoiled_ = false;   // bytes after END_REQUEST
  bool too_large_ = false;
  uint8_t said_ = 0;  // on STDERR: bits of Said
};

// Whether a connect failed for want of descriptors or memory here: that says nothing of the server.
bool lacks_resources(int error);
// The value of SIOCOUTQ for a unix socket whose other side has left only the terminator unread; 0 if
// it cannot be measured.
size_t measure_unix_terminator();

}  // namespace holdfast::fcgi
