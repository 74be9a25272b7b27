// shm/addresses.h - how many connections each client address has, and how fast it makes new ones, over all workers.
//
// Every slot has a table of its own: buckets of kWays entries, found by a keyed hash of the address. An address is a whole
// IPv4 address or the first 64 bits of an IPv6 one, the share of one customer of a provider. The connections of an address
// are summed over the slots when a new one comes; nobody else asks.
//
// Who writes
//   an entry, SlotHead::address_epoch   the process serving the slot
// Who reads: any worker, at any time, without waiting.
//
// Invariants
//   I1  An entry says something only if its epoch is that of its slot. A process that begins a slot anew (its predecessor
//       died) begins a new epoch, so a crash leaves nothing to be cleaned up. A successor in a handover keeps the epoch.
//   I2  A newcomer counts itself before it looks at the others: of two that come at once neither overlooks the other, so a
//       limit is never exceeded. Both may be refused.
//   I3  An entry with connections stays where it is, for the connections remember its place.
//   I4  Nothing of a slot that never began is read, and no bucket whose page is not there (pages.h): nobody has used it.
//   I5  A bucket that is full of others leaves the newcomer uncounted (place kNoPlace): too many addresses never refuse one.
//
// The rate is that of a sliding window of a second: those of this second of the clock, and of the former second's as much
// as the window still covers.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/pages.h"

namespace holdfast::shm {

inline constexpr uint32_t kNoPlace = UINT32_MAX;

// 24 bytes.
struct AddressEntry {
  std::atomic<uint64_t> address;      // see key_of() in addresses.cc
  std::atomic<uint32_t> epoch;        // 0: free; stored last  // I1
  std::atomic<uint32_t> connections;  // now
  std::atomic<uint32_t> second;       // of the monotonic clock
  std::atomic<uint32_t> came;  // in the second before it : 16 | in it : 16, as far as that counts
};
static_assert(sizeof(AddressEntry) == 24);

class AddressTable {
 public:
  static constexpr uint32_t kWays = 8;
  // Entries of each slot for so many sessions.
  static uint32_t entries_for(uint32_t max_sessions);

  AddressTable(AddressEntry* entries, SlotHead* heads, uint32_t slots, uint32_t per_slot,
               uint64_t seed, const HashKey& key, Pages* pages = nullptr)
      : entries_(entries),
        heads_(heads),
        slots_(slots),
        per_slot_(per_slot),
        seed_(seed),
        key_(key),
        pages_(pages) {}

  // The slot has no connections any more. // I1
  void begin(uint16_t slot) const;

  struct Seen {
    uint32_t place = kNoPlace;
    uint32_t connections = 0;  // of the address, this one included
    uint32_t rate = 0;         // new ones in the last second, this one included
    bool no_page = false;      // it cannot be counted: there is no memory for that
  };
  // A connection of the address comes to the slot. // I2, I5
  Seen enter(uint16_t slot, const in6_addr& address, uint64_t now_ms) const;
  // It is gone.
  void leave(uint16_t slot, uint32_t place) const;
  // It was refused: as if it had never come.
  void refuse(uint16_t slot, uint32_t place, uint64_t now_ms) const;

 private:
  size_t way_of(uint64_t key) const;  // where its bucket begins, in every slot's table
  AddressEntry* bucket(uint32_t slot, size_t way) const {
    return entries_ + size_t(slot) * per_slot_ + way;
  }
  AddressEntry* place_for(uint16_t slot, uint64_t key, size_t way, uint64_t now_ms) const;
  void add(uint32_t slot, uint64_t key, size_t way, uint64_t now_ms, uint64_t* connections,
           uint64_t* thousandths) const;

  AddressEntry* entries_;
  SlotHead* heads_;
  uint32_t slots_, per_slot_;
  uint64_t seed_;  // while there is no key: a segment of before
  HashKey key_;
  Pages* pages_;
};

}  // namespace holdfast::shm
