// worker/net/flush_queue.h - connections with something to write at the end of the turn.
//
// All frames produced for a connection in one turn leave in one system call. Two lists keep a big broadcast from
// delaying everybody: connections that got something addressed to them (urgent) are all flushed each turn; those that
// only got their copy of a fan-out (bulk) in slices of kBulkSlice. A bulk connection that gets something urgent moves
// over; its queue keeps the order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

enum class Urgency : uint8_t { urgent, bulk };

// Base of objects that can be in the queue; leaves it when destroyed.
class Flushable {
 public:
  Flushable() = default;
  Flushable(const Flushable&) = delete;
  Flushable& operator=(const Flushable&) = delete;

 protected:
  ~Flushable() { unlink(); }
  // Writes all there is. Already out of the queue; may enter again.
  virtual void flush() = 0;
  void unlink();

 private:
  friend class FlushQueue;
  Flushable* prev_ = nullptr;
  Flushable* next_ = nullptr;
  Urgency urgency_ = Urgency::urgent;
};

class FlushQueue {
 public:
  static constexpr size_t kBulkSlice = 256;  // about 1.5 ms of send(2)

  FlushQueue() = default;
  FlushQueue(const FlushQueue&) = delete;
  FlushQueue& operator=(const FlushQueue&) = delete;

  void add(Flushable& item, Urgency urgency);
  // One turn's share. True: some is left.
  bool run();

 private:
  struct Anchor final : Flushable {
    Anchor();
    ~Anchor();
    void flush() override {}
    bool empty() const;
    Flushable& first() const;
    void append(Flushable& item);
    void append_all(Anchor& other);
  };
  static void flush_first(Anchor& list);

  Anchor urgent_, bulk_;
};

}  // namespace holdfast
