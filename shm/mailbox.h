// shm/mailbox.h - records from one worker to another: a byte ring per ordered pair, and doorbells.
//
// Ring: single producer (`from`), single consumer (`to`). head and tail count bytes since creation
// and never wrap (64 bit); position in the ring = count & mask. A record is
//
//   0               4               8
//   +---------------+---------------+---------------------------+
//   | body_bytes    | kind          | body, padded to 8 bytes   |
//   +---------------+---------------+---------------------------+
//
// and never wraps: if the rest of the ring is too short, a record of kind kPadding fills it.
//
// A ring takes memory for the records it holds, not for all that have passed through it: a producer that finds it empty and
// is past `turn` bytes goes back to the first byte, and one for which there is no further page (pages.h) does so wherever it
// is, so that a full file system makes rings small and not mute. The first page is there from the beginning, and so is, after
// every push, the place of the next record's head.                                        // I7
//
// Who writes
//   head     `from`, after the bytes it makes visible (release)                           // I1
//   tail     `to`, after it has used the record (release): one half-used at a crash is
//            seen again                                                                   // I2
//   uses     `to`: how often it has begun to use the oldest record. One that two processes
//            died of is left out by the third                                             // I6
//   waiting  `from`: 1 while it keeps records that did not fit, so `to` rings its doorbell
//            after making room                                                            // I3
// A producer killed before its store of head leaves bytes that nobody can see; one started later
// goes on from head. Neither side trusts the other's words: whatever head, tail and the lengths
// are, no access leaves the ring.                                                         // I5
//
// Doorbell: one pipe per slot, made by the master before any fork, both ends non-blocking. A
// consumer about to sleep stores SlotHead::sleeping = 1, passes a full fence, looks once more at
// its rings, and only then sleeps; a producer, after its store of head and a full fence, exchanges
// sleeping to 0 and writes one byte if it was 1. So either the consumer sees the record or the
// producer sees the flag.                                                                 // I4
// A producer killed between its exchange and its write takes the bell with it: the record then
// waits for the consumer's next turn, so a consumer must not sleep without a bound (a worker turns
// with every tick of its timing wheel).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/layout.h"
#include "shm/pages.h"

namespace holdfast::shm {

inline constexpr uint32_t kPadding = 0;
inline constexpr size_t kRecordHead = 8;
inline constexpr uint32_t kMostUses = 2;

// In the segment, followed by the ring's bytes.
struct RingHead {
  alignas(kCacheLine) std::atomic<uint64_t> head;
  std::atomic<uint32_t> waiting;
  alignas(kCacheLine) std::atomic<uint64_t> tail;
  std::atomic<uint32_t> uses;
};
static_assert(sizeof(RingHead) == 2 * kCacheLine);

struct Record {
  uint32_t kind;
  std::string_view body;  // in the ring; valid until pop()
};

// A value that points into the segment; each side uses only its own methods.
class MailboxRing {
 public:
  MailboxRing(RingHead* head, char* bytes, uint32_t capacity, Pages* pages = nullptr)
      : head_(head), bytes_(bytes), mask_(capacity - 1), pages_(pages) {}

  // The largest body that a ring can take even when a padding record comes before it.
  static size_t max_body(uint32_t capacity) { return capacity / 2 - kRecordHead; }

  enum class Pushed : uint8_t {
    yes,
    full,     // no room before the consumer has made some; nothing written
    no_page,  // no memory for it, and the consumer cannot help; nothing written  // I7
  };
  // Producer. kind != kPadding, body_bytes <= max_body.
  Pushed try_push(uint32_t kind, std::string_view body);
  bool push(uint32_t kind, std::string_view body) { return try_push(kind, body) == Pushed::yes; }
  // I3: room made before set_waiting(true) rings no bell, and room made before announce_sleep()
  // wakes nobody. So the caller must try once more after both.
  void set_waiting(bool waiting);

  // Consumer. The oldest record, or empty. For a ring whose bytes make no sense (a length past head)
  // the answer is empty and `broken` is set: the caller counts it and calls discard().
  std::optional<Record> front(bool* broken);
  // Before begin_use(): a process that died has begun to use the record of front(), or has just done with the one before it.
  bool used_before() const;
  // To be called before the record of front() is used. False: it has cost two processes their lives; leave it out.  // I6
  bool begin_use();
  void pop();      // the record front() gave
  void discard();  // all that is in it
  bool empty() const;
  bool producer_waits() const;  // asked after pop(): does the producer wait for room?  // I3

  uint64_t used_bytes() const;  // either side
  // Bytes since creation.
  uint64_t head_count() const;
  uint64_t tail_count() const;

 private:
  // Rings of at most so much, and a fourth of larger ones, are filled to the end before the first byte's turn comes again.
  static constexpr uint64_t kSmallTurn = uint64_t{64} * 1024;
  uint64_t turn() const { return std::max(kSmallTurn, (mask_ + 1) / 4); }
  bool writable(uint64_t at, uint64_t need) const;
  Pushed put(uint64_t head, uint64_t padding, uint32_t kind, std::string_view body);

  RingHead* head_;
  char* bytes_;
  uint64_t mask_;
  Pages* pages_;
};

// Consumer side of I4: announces sleep. The caller must look at its rings once more afterwards.
void announce_sleep(SlotHead& me);
void announce_awake(SlotHead& me);
// Producer side of I4: wakes the slot if it sleeps. True: a byte was written. False: it is awake,
// its pipe is full of bells, or no process has the pipe's other end any more (SIGPIPE must be
// ignored).
bool ring_doorbell(SlotHead& other, int doorbell_write_fd);
// Empties a doorbell pipe.
void drain_doorbell(int doorbell_read_fd);

}  // namespace holdfast::shm
