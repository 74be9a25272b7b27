// worker/net/output_queue.h - the bytes that one connection still has to send: shared buffers, oldest first.
//
// Cost. A buffer that waits costs its bytes and kEntryBytes: the head of its memory and the allocator's overhead (32
// bytes for a short one), and its place here (8, twice that while the vector has grown by doubling). held() is the sum. A buffer
// that many wait for is charged to each of them in full, though it is there once: each holds it, and whichever of them is
// closed, the others go on holding it. So the sum over all queues is never less than the memory held.
//
// Invariants
//   I1  Empty: no memory beyond the object. One buffer queued: none either. More: one small vector.
//   I2  bytes() is the sum of the unsent bytes; offset_ counts those of the first buffer that have gone.
//   I3  Buffers leave whole and in order; only the first can be partly sent.
//   I4  Buffers that drop_oldest() has taken from amid the queue leave a hole. The last place is none, and
//       there are at most as many holes as buffers, so everything stays O(1) for each buffer that comes and goes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"

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
  // failed; errno has the reason. Raises no signal.
  Written write_to(int fd, size_t budget);
  // Takes at most `most` bytes from the front and appends them to `to`, as if they had been sent.
  void take(std::string& to, size_t most);
  // Throws away all but a partly sent first buffer, and with `keep_first` also that one unsent; returns how many
  // buffers went.
  size_t drop_unsent(bool keep_first = false);
  // Throws away buffers that have this tag and that `may_go` says yes to, oldest first, a partly sent one never, until at most
  // `most` bytes are held or nothing more may go; returns how many went. Costs as much as buffers go, and once as much as
  // there are: the first call makes a list of them by tag. `may_go` says the same of a buffer each time.
  template <class F>
  size_t drop_oldest(size_t most, uint64_t tag, F&& may_go) {
    if (held() <= most) return 0;
    size_t dropped = 0;
    bool first_goes = first_ && offset_ == 0 && first_.tag() == tag && may_go(first_);
    if (first_goes) {
      bytes_ -= uint32_t(first_.size());
      first_ = BufferRef();
      ++dropped;
    }
    if (rest_) {
      list_by_tag(may_go);
      dropped += drop_listed(most, tag);
    }
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
    for (size_t i = 0; i < rest_size(); ++i)
      if (const BufferRef& buffer = rest_->buffers[rest_->head + i]) f(buffer);
  }
  // For a queue that is made anew from the results of for_each() and sent(). False: there are not so many bytes.
  bool set_sent(uint32_t bytes);
  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }
  size_t held() const {
    size_t waiting = rest_ ? rest_size() - rest_->holes : 0;
    return bytes_ + (size_t(bool(first_)) + waiting) * kEntryBytes;
  }

 private:
  // Those that may go, oldest first. They are called by how many buffers came before them.
  struct ByTag {
    struct Places {
      std::vector<uint64_t> places;
      size_t head = 0;
    };
    std::unordered_map<uint64_t, Places> of;
    size_t size = 0;      // of all places, those of buffers that have been sent meanwhile included
    uint64_t passed = 0;  // as many are no longer in Rest::buffers
    uint64_t listed = 0;  // buffers from this one on are not in here yet
  };
  struct Rest {
    std::vector<BufferRef> buffers;
    size_t head = 0;                // buffers before it are gone
    size_t holes = 0;               // after head  // I4
    std::unique_ptr<ByTag> by_tag;  // since something had to be dropped
  };
  template <class F>
  void list_by_tag(F&& may_go) {
    Rest& rest = *rest_;
    if (!rest.by_tag) rest.by_tag = std::make_unique<ByTag>();
    ByTag& by_tag = *rest.by_tag;
    size_t i = std::max(size_t(by_tag.listed - by_tag.passed), rest.head);
    for (; i < rest.buffers.size(); ++i) {
      const BufferRef& buffer = rest.buffers[i];
      if (!buffer || !may_go(buffer)) continue;
      by_tag.of[buffer.tag()].places.push_back(by_tag.passed + i);
      ++by_tag.size;
    }
    by_tag.listed = by_tag.passed + rest.buffers.size();
  }
  size_t drop_listed(size_t most, uint64_t tag);
  void close_holes();
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
