// worker/net/connection.h - a socket of this worker: reading, queued writing, deadline. The meaning of the bytes is the derived
// class's business (clients/client.h, api/connection.h).
//
// Owner: ConnectionTable, by descriptor. Ends by ConnectionTable::retire(), which destroys it after the turn, so a
// callback may retire its own object; the descriptor stays open until then and cannot be reused meanwhile.
//
// Invariants
//   I1  One readiness costs one read of at most the worker's scratch space, and none if the turn has done enough work
//       (turn_budget.h): level-triggered, it is reported again.
//   I2  While output is queued and the socket is full, write readiness is watched; otherwise it is not.
//   I3  After retire() no virtual function is called any more.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "worker/net/input_queue.h"
#include "worker/net/output_queue.h"
#include "worker/net/output_record.h"
#include "worker/net/runtime.h"

namespace holdfast {

class ConnectionTable;
class HalfOpen;

// Of a connection that travels: who in the successor makes it anew.
enum class ConnectionKind : uint8_t { client, api };

// What has to finish: connections without an open session (hand-shakes, idle API connections), or all.
enum class WindUp : uint8_t { unopened, all };

class Connection : public Flushable, public Deadline {
 public:
  Connection(Runtime& runtime, ConnectionTable& table, UniqueFd fd);
  ~Connection() override;

  int fd() const { return fd_.get(); }
  // The queued bytes, with the cost of keeping them (output_queue.h).
  size_t unsent() const { return output_.held(); }
  // The bytes that the kernel did not take; 0 if the rest just waits for the end of the turn.
  size_t backlog() const { return want_write_ ? output_.bytes() + held_output() : 0; }
  bool retired() const { return retired_; }
  // The worker ends or drains: finish the work under way and go.
  virtual void wind_up(WindUp what) = 0;
  // In a successor, which owns the slot now: goes on where the predecessor stopped. Until then a
  // restored connection neither reads nor writes nor counts anything.
  virtual void resume() = 0;
  // False: only this process can end what it is in the middle of (a TLS hand-shake, and a PROXY header before one).
  virtual bool can_move() const { return true; }
  // What it is made of, for a successor: a record of its kind. And whether it is sent with its session.
  virtual ConnectionKind kind() const = 0;
  virtual std::string record() const = 0;
  virtual bool goes_with_session() const { return false; }
  // This worker owes too much, and this one most of it: it ends, and is counted.
  virtual void shed() = 0;
  // Bytes that wait for it while it does not read.
  virtual size_t owed() const { return unsent(); }
  // Ends it here if it cannot move.
  void give_up() { retire(); }

 protected:
  // Bytes as they came; the span may be written to (unmasking) and is valid during the call.
  virtual void on_bytes(std::span<char> bytes) = 0;
  // The connection broke (or, by default, end of file came). Must retire.
  virtual void on_end() = 0;
  // End of file: the other side sends no more, but may still read. Must retire, or stop reading: the end would be
  // reported again and again.
  virtual void on_end_of_input() { on_end(); }
  virtual void on_drained() {}
  // Some bytes have gone. Called if hears_written_ is set.
  virtual void on_written() {}
  // Its turn has come to go on with its Undecoded bytes.
  virtual void go_on() {}
  // Below these: the layer between the socket and the bytes (TLS). Bytes that were read:
  virtual void on_read(std::span<char> bytes) { on_bytes(bytes); }
  virtual void on_end_of_stream() { on_end_of_input(); }
  // Sends from the queue, at most about `budget` bytes.
  virtual OutputQueue::Written transmit(OutputQueue& output, size_t budget) {
    return output.write_to(fd_.get(), budget);
  }
  // Bytes for the socket that transmit() has taken from the queue and could not send yet; it counts them as unsent itself.
  virtual size_t held_output() const { return 0; }
  virtual void on_reading_again() {}
  // It ends: takes back the counts it has elsewhere.
  virtual void on_retire() {}
  // Before anything is written at the end of a turn, if asks_before_flush_ is set; false: nothing is to be written now.
  virtual bool before_flush() { return true; }

  void enqueue(BufferRef buffer, Urgency urgency);
  // Holds queued output back (the hand-shake's answer must go first).
  void hold_output(bool hold);
  // Puts a buffer before everything queued; only while output is held.
  void enqueue_first(BufferRef buffer);
  // Throws away queued buffers, all but a partly sent one, and with `keep_first` the first that ever was; counts them
  // as messages.dropped.
  void drop_output(bool keep_first = false);
  // Throws away whole unsent buffers of this tag that `may_go` says yes to, oldest first, until at most `most` bytes are held;
  // counts them as messages.dropped and messages.dropped_slow. How many went.
  size_t drop_oldest_output(size_t most, uint64_t tag,
                            const std::function<bool(const BufferRef&)>& may_go);
  // It ends without sending its queue: nothing of that is owed any more.
  void forget_output();
  // Makes flush() come at the end of this turn, also without output.
  void flush_soon() { runtime_.flush.add(*this, Urgency::urgent); }
  bool output_empty() const { return output_.empty() && held_output() == 0; }
  void read_on(bool on);
  bool reading() const { return want_read_; }
  // Bytes that have come and have not been read.
  bool has_unread() const;
  void arm(uint64_t at_ms) { runtime_.wheel.arm(*this, at_ms); }
  // After everything queued has gone: no more from us, so the other side sees an end and not a reset.
  virtual void shut_down_writing();
  void retire();
  // For a successor; the gauges know of it already.
  handover::OutputRecord save_output() const;
  // False: the record makes no sense.
  [[nodiscard]] bool restore_output(const handover::OutputRecord& record);

  Runtime& runtime_;

 private:
  friend class ConnectionTable;
  friend class InputQueue;
  void on_ready(short what);
  void read_once();
  void flush() final;
  void update_watch();
  void watch(short what);

  ConnectionTable& table_;
  OutputQueue output_;
  UniqueFd fd_;
  uint8_t watching_ = 0;  // Poller's
  bool want_read_ = false;
  bool want_write_ = false;
  bool held_ = false;
  bool wrote_ = false;  // some byte has gone
  bool retired_ = false;

 protected:
  // Most connections want neither call, and a fan-out would make it for each message.
  bool asks_before_flush_ = false;
  bool hears_written_ = false;
};

class ConnectionTable {
 public:
  explicit ConnectionTable(Runtime& runtime);
  ~ConnectionTable();
  void add(std::unique_ptr<Connection> connection);
  // One that a predecessor has counted.
  void restore(std::unique_ptr<Connection> connection);
  void retire(Connection& connection);
  // It ends without a word, also to itself (on_retire()): another object will have its descriptor, which is the answer, and what is
  // counted for it.
  [[nodiscard]] UniqueFd release(Connection& connection);
  size_t size() const { return size_; }
  HalfOpen& half_open() { return *half_open_; }
  InputQueue& input() { return input_; }
  void clear() { by_fd_.clear(); }
  template <class F>
  void for_each(F&& f) {
    for (size_t i = 0; i < by_fd_.size(); ++i)
      if (by_fd_[i]) f(*by_fd_[i]);
  }
  // At most `most` of them, from place `at` on, which moves on. True: there are more after it.
  template <class F>
  bool for_some(size_t& at, size_t most, F&& f) {
    for (; most > 0 && at < by_fd_.size(); ++at) {
      if (!by_fd_[at]) continue;
      f(*by_fd_[at]);
      --most;
    }
    return at < by_fd_.size();
  }

 private:
  friend class Connection;
  void take_out(Connection& connection);

  Runtime& runtime_;
  InputQueue input_;  // outlives the connections
  Poller poller_;
  std::unique_ptr<HalfOpen> half_open_;  // TLS hand-shakes under way; outlives the connections
  std::vector<std::unique_ptr<Connection>> by_fd_;
  size_t size_ = 0;
};

}  // namespace holdfast
