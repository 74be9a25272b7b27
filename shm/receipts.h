// shm/receipts.h - the answers to requests with an idempotency key, for five minutes.
//
// A request that is repeated (its connection broke, its worker died, a reload came between) may
// arrive at any worker. So the answers are in the segment: a fixed table of entries, found by the
// hash of the key in one bucket of kWays entries, which is one page.
//
//   state      means                                               next state   by
//   free       nothing                                             writing      any claimer
//   writing    a claim has taken it; key and all are not to be     claiming     the claimer
//              read
//   claiming   the key is there, the claimer looks for rivals      taken        the claimer
//                                                                  free         the claimer that
//                                                                               gives way, or a
//                                                                               rival (I3)
//   taken      the request is being carried out                    answered     complete()
//                                                                  free         abandon()
//   answered   status and answer are there                         (stays)
//   Once nobody needs it any more (I4) the next claimer makes it `writing` again, from any state.
//
// Who writes
//   entry.claim   any worker, and only by compare-and-swap from the word it has read
//   the rest      the worker that the claim names, in `writing`; outcome and answer in `taken`
// Who reads: any worker; never waits.
//
// Invariants
//   I1  `claim` is one 64-bit word (serial, state, slot, pid). Every claimer raises the serial, so
//       a word comes back only after 2^27 claims of its entry: a change that begins with an old
//       word fails, and a reader that sees the same word before and after has read an entry that
//       belongs to it.
//   I2  No entry of a living worker is ever taken away except a `claiming` one, and in that state
//       the worker writes nothing. So a worker that stands still for however long, between any two
//       instructions, cannot write into another's entry. A request under way does not expire.
//   I3  At most one of any number of simultaneous claims of a key is `fresh`, though they may take
//       different entries. Each makes itself `claiming` and then looks at all others of the bucket
//       (both sequentially consistent, so of two at least one sees the other). It gives way to one
//       of its key that is taken or answered, and to a `claiming` before it in the bucket; a
//       `claiming` after it, it makes free. Only then it makes itself `taken`, which fails if a
//       rival was faster.
//   I4  An entry is reusable when it is free; answered and kReceiptLifeMs old; taken, as old, and
//       its claimer dead; or writing or claiming and its claimer dead (nothing was carried out).
//   I5  If the process that has taken an entry dies, a request with its key is not carried out again
//       before the key expires: the first may or may not have been. A repeat is answered `unknown`.
//   I6  No call here blocks, nor enters the kernel but for the page of a bucket that this process has not used before
//       (pages.h).
//
// A claimer is dead if its pid is not (any more) the one in its slot's head. The master takes it out
// after reaping, so no process that could still write is taken for dead; between the death and the
// reaping the verdict is `busy`, as for the living. Should the slot's next process get the same pid
// again, `busy` stands until the process has gone; nothing worse comes of it.
//
// After a crash: see I4, I5; nobody has to clean up.
//
// It would be simpler to do without `claiming`: of two that see each other both give way and try
// again. That is as safe, but two in step can push each other out until both give up, and a key
// whose claimer died inside claim() would be `unknown` though nothing was begun. To decide by the
// index alone is wrong: the later one may have looked before the earlier one could be seen.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shm/layout.h"
#include "shm/pages.h"

namespace holdfast::shm {

inline constexpr uint64_t kReceiptLifeMs = 5 * 60 * 1000;
inline constexpr size_t kMaxReceiptBytes =
    192;  // of an answer; a longer one is kept without its lists

// 128 bits of the key's SHA-256 (made by the face: shm knows no OpenSSL).
struct ReceiptKey {
  uint64_t hi = 0, lo = 0;
  bool operator==(const ReceiptKey&) const = default;
};

// Words are atomics because readers race with the writer; relaxed except claim. All zero: free.
//
//   0               4               8
//   +---------------+---------------+
//   | claim: serial 27 | state 3 | slot 12 | pid 22
//   +-------------------------------+
//   | key hi                        |
//   +-------------------------------+
//   | key lo                        |
//   +-------------------------------+
//   | fingerprint of the request    |
//   +-------------------------------+
//   | claimed: monotonic ms         |
//   +-------------------------------+
//   | outcome: 0 : 32 | status : 16 | answer bytes : 16
//   +-------------------------------+
//   | answer, 192 bytes             |
//   +-------------------------------+
//   | reserved, 16 bytes            |
//   +-------------------------------+
struct alignas(256) ReceiptEntry {
  std::atomic<uint64_t> claim;
  std::atomic<uint64_t> key_hi, key_lo;
  std::atomic<uint64_t> fingerprint;
  std::atomic<uint64_t> claimed_ms;
  std::atomic<uint64_t> outcome;
  std::atomic<uint64_t> answer[kMaxReceiptBytes / 8];
  std::atomic<uint64_t> reserved[2];
};
static_assert(sizeof(ReceiptEntry) == 256 && offsetof(ReceiptEntry, answer) == 48);
inline constexpr uint32_t kWays = 16;
static_assert(kWays * sizeof(ReceiptEntry) == kPage);
inline constexpr uint32_t kMinReceipts = 64;
static_assert(kMinReceipts >= kWays);

enum class ReceiptState : uint8_t { free = 0, writing, claiming, taken, answered };

// The claim word, unpacked.
struct ReceiptClaim {
  static constexpr uint32_t kSerials = 1u << 27, kSlots = 1u << 12, kPids = 1u << 22;
  uint32_t serial = 0;                      // bits 37..63
  ReceiptState state = ReceiptState::free;  // bits 34..36
  uint16_t slot = 0;                        // bits 22..33
  uint32_t pid = 0;                         // bits 0..21: Linux has none above (PID_MAX_LIMIT)
  uint64_t packed() const;
  static ReceiptClaim unpack(uint64_t word);
};

// The whole table; a value that points into the segment.
class ReceiptTable {
 public:
  enum class Verdict : uint8_t {
    fresh,     // claimed: carry the request out, then complete() or abandon()
    repeated,  // answered before: status and answer are the first one's
    busy,      // the first one is under way
    unknown,   // the first one's worker died before it was answered  // I5
    mismatch,  // the key was used for another request
    full,      // the bucket holds only keys that are younger than kReceiptLifeMs or under way
    no_page,   // there is no memory for the bucket
  };
  struct Claim {
    Verdict verdict = Verdict::full;
    uint16_t status = 0;
    std::string answer;
    uint32_t index = 0;   // fresh: for complete() and abandon()
    uint64_t ticket = 0;  // fresh: the entry's claim word
  };

  // `count`: 0 or a power of two from kWays. `slots`: all of them, to see who is dead.
  ReceiptTable(ReceiptEntry* entries, uint32_t count, const SlotHead* slots, uint32_t slot_count,
               Pages* pages = nullptr)
      : entries_(entries), count_(count), slots_(slots, slot_count), pages_(pages) {}
  bool enabled() const { return count_ > 0; }

  // The caller serves `slot`, and its pid is in the slot's head. `fingerprint`: of what is asked (a
  // hash of the encoded command). `now_ms`: monotonic_ms(); all processes of the machine share that
  // clock. Needs enabled().
  Claim claim(const ReceiptKey& key, uint64_t fingerprint, uint16_t slot, uint64_t now_ms);
  // The first answer, at most kMaxReceiptBytes of it. False: the claim does not stand any more (it
  // was completed or abandoned before), and nothing was changed.
  bool complete(const Claim& claim, uint16_t status, std::string_view answer);
  // Nothing was done: the key may be used again at once. False: as above.
  bool abandon(const Claim& claim);

 private:
  struct Request;
  struct Look;
  bool dead(const ReceiptClaim& claim) const;
  bool reusable(const Look& look, uint64_t now_ms) const;
  Verdict verdict_of(const Look& look, uint64_t fingerprint) const;
  bool attempt(const Request& request, Claim* result);
  bool take(uint32_t index, uint64_t from, const Request& request, Claim* result);
  bool beats_rivals(uint32_t mine, const Request& request);
  uint32_t bucket_of(const ReceiptKey& key) const;  // its first entry

  ReceiptEntry* entries_;
  uint32_t count_;
  std::span<const SlotHead> slots_;
  Pages* pages_;
};

}  // namespace holdfast::shm
