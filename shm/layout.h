// shm/layout.h - what lies where in the segment, and who may write it.
//
// One segment per instance, /dev/shm/holdfast.INSTANCE. The master lays it out completely before
// the first fork. The three rules:
//   R1  Nothing is allocated in, or freed from, the segment after that, and there is no lock in it.
//   R2  Every word has one writer: the process serving the slot that owns it; the master for its
//       own part and for a slot whose process is dead. Three exceptions: SlotHead::sleeping, changed
//       by atomic exchange; ReceiptEntry::claim, changed by compare-and-swap, which names the
//       writer of the rest of its entry; Header::filter_overflowed, which only ever becomes 1.
//   R3  A writer publishes last: data first, then one release store that makes it visible.
//
// The capacities decide every offset; Layout::of() computes them, and both sides compute the same
// because the header carries the capacities. Parts are page-aligned. Sparse: a page costs memory
// once it is touched - by a load just as by a store, for a shared mapping fills its holes on
// either. So nobody walks a part without a bound (see Slab's high water), and nobody touches a page
// that may not be there (pages.h). There from the beginning: header, slot heads, the used part of all
// stats blocks, heads of stream shards; from before a slot's first process on, the first page of each ring between it and
// every slot that has had one (Segment::prepare_slot()). All other pages are asked for by their writers.
//
//   header | slot heads | stats blocks | channel filter | receipts | mailbox rings |
//   client addresses | session directory | heads of stream shards | stream shards
//
// After a crash of a worker: its slot head, stats, column of the filter, ring tails and slab are as
// it left them at its last publishing store. The master marks the slot dead and clears its filter
// column; the successor sweeps the slab; receipts need neither (receipts.h I4). After a crash of the
// master: the segment stays; the next master recognises it by its lock being free, and takes from it the
// close events that dead workers' sessions are owed (master/leftover.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "shm/ticket_keys.h"

namespace holdfast::shm {

inline constexpr uint64_t kMagic = 0x31'54'53'41'46'44'4c'48;  // "HLDFAST1" in memory
inline constexpr uint32_t kLayoutVersion = 4;
inline constexpr size_t kCacheLine = 64;
inline constexpr size_t kPage = 4096;

struct Capacities {
  uint32_t max_workers = 0;
  uint32_t max_sessions = 0;    // entries in each worker's slab, and of the instance altogether
  uint32_t filter_buckets = 0;  // power of two
  uint32_t mailbox_bytes = 0;   // ring per ordered pair, power of two
  uint32_t receipts = 0;        // idempotency keys: 0, or a power of two from 64
  // Of kShardBytes each (stream_shard.h); 0 in a segment that a version before it has made: there was nothing but zeros.
  uint32_t stream_shards = 0;
  bool operator==(const Capacities&) const = default;
};

// Writer: the master, alone.
struct Header {
  std::atomic<uint64_t> magic;  // stored last by create(): a segment without it is not there yet
  uint32_t layout_version;
  uint32_t node_id;
  Capacities capacities;
  uint64_t total_bytes;
  std::atomic<uint32_t> master_pid;
  std::atomic<uint32_t> generation;  // counts successful (re)loads, from 1
  std::atomic<uint64_t> started_wall_ms;
  std::atomic<uint64_t> reloaded_wall_ms;
  uint64_t address_seed;  // addresses.h; while there is no name_key
  char build[48];         // version, NUL-ended
  char instance[40];      // NUL-ended
  char runtime_dir[256];  // NUL-ended: where holdfastctl finds the sockets
  TicketKeyRing ticket_keys;
  std::atomic<uint32_t>
      ensured;  // 1: the pages that must be there are there; older versions knew nothing of it
  std::atomic<uint32_t> filter_overflowed;  // 1: some slot hears_all (channel_filter.h I4)
  // Of the hashes in filter and addresses (base/hash.h). Zeros if a version before it has made the segment: then it goes
  // on without. The other way round a binary that does not know the key would look for names elsewhere: the master gives it
  // no segment with one (kCheckKeyed of master/takeover.h).
  HashKey name_key;
};

// The state of a slot. free -> starting (master) -> serving (worker) -> draining (worker) -> free
// (master, after reaping); any -> dead (master, after reaping a crash) -> starting.
enum class SlotState : uint32_t { free = 0, starting = 1, serving = 2, draining = 3, dead = 4 };

// Writer: the worker that serves the slot; the master while no process does (R2).
struct alignas(kCacheLine) SlotHead {
  std::atomic<SlotState> state;
  std::atomic<uint32_t> pid;
  std::atomic<uint32_t> generation;    // of the configuration it runs
  std::atomic<uint32_t> restarts;      // crashes of this slot so far; master only
  std::atomic<uint64_t> heartbeat_ms;  // monotonic_ms() of the worker's last turn
  std::atomic<uint64_t> started_wall_ms;
  std::atomic<uint32_t> address_epoch;  // 0: nobody has served it yet (addresses.h)
  std::atomic<uint32_t>
      hears_all;  // 1: its column of the filter is not complete (channel_filter.h I4)
  // 1: ring the doorbell after writing to a mailbox (mailbox.h).
  alignas(kCacheLine) std::atomic<uint32_t> sleeping;
};
static_assert(sizeof(SlotHead) == 2 * kCacheLine);

// Offsets from the segment's first byte.
struct Layout {
  Capacities capacities;
  size_t slot_heads, stats, filter, receipts, mailboxes, addresses, directory, shard_heads, shards,
      total;
  size_t
      ring_stride;  // ring (from, to) lies at mailboxes + (from * max_workers + to) * ring_stride

  // False for capacities whose offsets would not fit: not a power of two where one is needed, a
  // directory index of more than 32 bits, more than kMaxTotal bytes.
  static bool possible(const Capacities& capacities);
  static Layout of(const Capacities& capacities);  // needs possible()
};
inline constexpr size_t kMaxTotal = size_t{1} << 44;
inline constexpr uint32_t kMinMailboxBytes = 1024;

static_assert(std::atomic<uint64_t>::is_always_lock_free &&
              std::atomic<uint32_t>::is_always_lock_free);

}  // namespace holdfast::shm
