// shm/ticket_keys.h - the keys that TLS session tickets (RFC 5077, RFC 8446 section 4.6.1) are sealed with: the same for all
// workers of an instance, so that a client resumes its session at any of them, also after a reload or an upgrade.
//
// A new key takes the place of the newest one, which is good for old tickets until the next one comes. Then it is wiped: a
// segment that is seen later does not open older tickets, and so, in TLS 1.2, older recordings.
//
// Who writes: the master alone.  Who reads: any worker, at any time, without waiting.
//
// Invariants
//   I1  A key is whole before `count` includes it. `count` must be the same before and after the copying of a key,
//       or the copy is taken again: nobody uses a mixture of two.
//   I2  There is a key in every segment that create() or adopt() has returned.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

namespace holdfast::shm {

struct TicketKey {
  std::array<unsigned char, 16> name;    // stands in the ticket
  std::array<unsigned char, 32> cipher;  // AES-256
  std::array<unsigned char, 32> mac;     // HMAC-SHA-256
};

// Lies in the segment's header; zeros are no keys.
struct TicketKeyRing {
  static constexpr uint32_t kKept = 3;  // the newest, the one before, and the place of the next
  std::atomic<uint32_t> count;          // of the keys there ever were
  std::atomic<uint64_t> made_ms;        // the newest: monotonic clock
  std::array<std::array<std::atomic<uint64_t>, sizeof(TicketKey) / 8>, kKept> keys;
};
static_assert(sizeof(TicketKey) == 80);

class TicketKeys {
 public:
  explicit TicketKeys(TicketKeyRing& ring) : ring_(&ring) {}

  // The master's: a random key is the newest from now on.
  void renew(uint64_t now_ms) const;
  void put(const TicketKey& key, uint64_t now_ms) const;
  bool any() const { return ring_->count.load(std::memory_order_acquire) > 0; }
  uint64_t made_ms() const { return ring_->made_ms.load(std::memory_order_relaxed); }

  TicketKey newest() const;  // needs any()
  // Of the newest and the one before.
  std::optional<TicketKey> named(std::span<const unsigned char, 16> name) const;

 private:
  TicketKey copy(uint32_t number) const;

  TicketKeyRing* ring_;
};

}  // namespace holdfast::shm
