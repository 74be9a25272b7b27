// worker/output_queue.h - what one connection still has to send: shared buffers, oldest first.
//
// What it costs. A buffer that waits costs its bytes and kEntryBytes: the head of its memory and what the allocator adds (32
// bytes for a short one), and its place here (8, twice that while the vector has grown by doubling). held() is the sum. A buffer
// that many wait for is charged to each of them in full, though it is there once: each owes it, and whichever of them is
// closed, the others go on holding it. So the sum over all queues is never less than what is held.
//
// Invariants
//   I1  Empty: no memory beyond the object. One buffer queued: none either. More: one small vector.
//   I2  bytes() is the sum of what is unsent; offset_ counts what of the first buffer has gone.
//   I3  Buffers leave whole and in order; only the first can be partly sent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/buffer.h"

namespace holdfast {

class OutputQueue {
 public:
  static constexpr size_t kEntryBytes = 48;
  enum class Outcome : uint8_t { drained, blocked, more, failed };
  struct Written {
    Outcome outcome;
    size_t bytes;     // sent by this call
    unsigned writes;  // system calls
  };

  void push(BufferRef buffer);
  void push_front(BufferRef buffer);  // only while nothing is partly sent
  // Sends until the queue is empty (drained), the socket is full (blocked), `budget` bytes went (more) or it
  // failed; errno tells why. Raises no signal.
  Written write_to(int fd, size_t budget);
  // Takes at most `most` bytes from the front and appends them to `to`, as if they had been sent.
  void take(std::string& to, size_t most);
  // Throws away all but a partly sent first buffer, and with `keep_first` also that one unsent; returns how many
  // buffers went.
  size_t drop_unsent(bool keep_first = false);
  // Throws away buffers that `may_go` says yes to, oldest first, a partly sent one never, until at most `most` bytes are
  // are held or nothing more may go; returns how many went.
  template <class F>
  size_t drop_oldest(size_t most, F&& may_go) {
    size_t dropped = 0, held_now = held();
    auto goes = [&](const BufferRef& buffer) {
      if (held_now <= most || !may_go(buffer)) return false;
      held_now -= buffer.size() + kEntryBytes;
      bytes_ -= uint32_t(buffer.size());
      ++dropped;
      return true;
    };
    bool first_goes = first_ && offset_ == 0 && goes(first_);
    if (rest_) {
      auto begin = rest_->buffers.begin() + std::ptrdiff_t(rest_->head);
      // In order, each asked once.
      rest_->buffers.erase(std::remove_if(begin, rest_->buffers.end(), goes), rest_->buffers.end());
    }
    if (first_goes) first_ = BufferRef();
    settle();
    return dropped;
  }
  // How many bytes of the first buffer have been sent.
  uint32_t sent() const { return offset_; }
  // The buffers, in order; of the first, sent() bytes have gone.
  template <class F>
  void for_each(F&& f) const {
    if (!first_) return;
    f(first_);
    for (size_t i = 0; i < rest_size(); ++i) f(rest_->buffers[rest_->head + i]);
  }
  // For a queue that is made anew from what for_each() and sent() said. False: there are not so many bytes.
  bool set_sent(uint32_t bytes);
  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }
  size_t held() const { return bytes_ + (size_t(bool(first_)) + rest_size()) * kEntryBytes; }

 private:
  struct Rest {
    std::vector<BufferRef> buffers;
    size_t head = 0;  // buffers before it are gone
  };
  size_t rest_size() const { return rest_ ? rest_->buffers.size() - rest_->head : 0; }
  void consume(size_t sent);
  void advance();  // the first buffer is done: the next becomes first
  void settle();   // buffers went from amid the queue: I1 again

  BufferRef first_;
  std::unique_ptr<Rest> rest_;
  uint32_t offset_ = 0;
  uint32_t bytes_ = 0;
};

}  // namespace holdfast
