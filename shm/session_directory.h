// shm/session_directory.h - which worker holds which session, and the data that must outlive that worker.
//
// A fixed array of entries, two cache lines each. Every slot owns a slab of max_sessions entries
// (virtual memory; a page costs something once it is used, and low indexes are used first). The
// index is part of the session id, so a lookup is one array access and a comparison of the whole
// id.
//
// Who writes
//   an entry   the worker named by its owner field; an entry that is free: the slot whose slab it
//              lies in. For a dead slot: the successor (Slab's sweep).
// Who reads: anyone, at any time, without waiting.
//
// Invariants
//   I1  `control` (owner, state, flags, user length, version) is one 64-bit word, stored last
//       (release) in every change, with a version one higher. A reader loads it before and after;
//       if both are equal, the data read in between are consistent.
//   I2  An entry whose state is `free` has no meaning apart from its version.
//   I3  A lookup is a hint that is almost always right: the addressee compares the id again in its
//       own table, and a mismatch ends as `no_session`, never as a wrong delivery.
//   I4  The user's name is changed by storing control with length 0, then the bytes, then control
//       with the length: a writer killed in between leaves "no user", never a mixture.
//   I5  No call here blocks, allocates in the segment or enters the kernel, except claim(), which
//       asks getrandom(2) for the id.
//   I6  No reader touches an entry at or above its slab's high water: ids come from outside, and
//       reading a page that nobody has used allocates it. A writer raises the high water before it
//       publishes the entry, and has ensured the entry's page before that (pages.h).
//
// After a crash: entries of the dead worker keep naming it. find() still answers them, the mailbox
// record is answered by the successor with `no_session`. The successor's Slab sweeps: an entry that
// owes a close event becomes `closing` and is listed in orphans(); every other one is freed.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/addresses.h"
#include "shm/pages.h"
#include "shm/session_id.h"

namespace holdfast::shm {

struct StatsBlock;

inline constexpr size_t kMaxUserBytes = 64;

enum class SessionState : uint8_t {
  free = 0,
  connecting = 1,  // connect event under way: can be pushed to, gets it after the hand-shake
  open = 2,
  closing = 3,  // connection gone, close event owed; cannot be pushed to
};

// Entry flags.
// The connect event was delivered (or none is configured), the close event not yet.
inline constexpr uint8_t kOwesClose = 1;
inline constexpr uint8_t kCrashed = 2;  // its worker died; the close event says so
// The connect event is under way, so it may have been delivered.
inline constexpr uint8_t kConnectUnanswered = 4;
// With `open`: its connection broke, and its client may come back (worker/sessions/resume.h).
inline constexpr uint8_t kDetached = 8;

// 128 bytes. Words are atomics because readers race with the writer; relaxed except control.
struct alignas(128) DirectoryEntry {
  std::atomic<uint64_t> control;  // see Control
  std::atomic<uint64_t> id_hi, id_lo;
  std::atomic<uint64_t> connected;  // seconds since 1970 : 32 | listener : 16 | port : 16
  // IPv6 address, or IPv4-mapped, network order; 0 for unix.
  std::atomic<uint64_t> peer_hi, peer_lo;
  std::atomic<uint32_t> messages_in, messages_out, unsent_bytes;
  std::atomic<uint32_t> address_place;  // where it is counted (addresses.h)
  std::atomic<uint64_t> user[kMaxUserBytes / 8];
};
static_assert(sizeof(DirectoryEntry) == 128);

// The control word, unpacked.
struct Control {
  uint32_t version = 0;                     // bits 32..63
  uint16_t owner = 0;                       // bits 16..31: slot
  SessionState state = SessionState::free;  // bits 12..15
  uint8_t flags = 0;                        // bits 8..11
  uint8_t user_bytes = 0;                   // bits 0..7
  uint64_t packed() const;
  static Control unpack(uint64_t word);
};

// All that is known of a session at its start.
struct SessionOrigin {
  in6_addr peer{};  // IPv4 mapped (::ffff:a.b.c.d), all zero for a unix socket
  uint16_t peer_port = 0;
  uint16_t listener = 0;  // index in Config::listens
  uint32_t address_place = kNoPlace;
};

// A consistent copy of one entry, for reading.
struct SessionView {
  SessionId id;
  Control control;
  SessionOrigin origin;
  uint64_t connected_wall_s = 0;
  uint32_t messages_in = 0, messages_out = 0, unsent_bytes = 0;
  std::string user;
};

// The whole array; a value that points into the segment. Reading side.
class SessionDirectory {
 public:
  // `stats`: the slots' blocks, for the high waters; without them every entry counts as used. // I6
  SessionDirectory(DirectoryEntry* entries, uint32_t slots, uint32_t per_slab,
                   const StatsBlock* stats = nullptr, Pages* pages = nullptr)
      : entries_(entries), slots_(slots), per_slab_(per_slab), stats_(stats), pages_(pages) {}

  // The slot that holds the session (state connecting or open), or empty.
  std::optional<uint16_t> find(const SessionId& id) const;
  // A copy of entry `index`; empty if it is free or kept changing under three tries.
  std::optional<SessionView> view(uint32_t index) const;

  // Makes the entry of view.id's index say what `view` says, owned by its slab's slot. Only the master does this, before
  // the first fork; the slot's worker finds it as left by a dead predecessor. False: there is no page for it.
  bool plant(const SessionView& view, std::atomic<uint32_t>& high_water) const;

  // How many entries of the slab, from its first, have ever been used.
  uint32_t used(uint32_t slot) const;
  uint32_t size() const { return slots_ * per_slab_; }
  uint32_t slots() const { return slots_; }
  uint32_t per_slab() const { return per_slab_; }
  DirectoryEntry& entry(uint32_t index) const { return entries_[index]; }
  // The `count` entries from `first` may be written from now on; false: there is no page for them.
  bool ensure(uint32_t first, uint32_t count, size_t ahead = 0) const {
    return ensured(pages_, entries_ + first, count * sizeof(DirectoryEntry), ahead);
  }

 private:
  bool in_use(uint32_t index) const;

  DirectoryEntry* entries_;
  uint32_t slots_, per_slab_;
  const StatsBlock* stats_;
  Pages* pages_;
};

// The writing side: one worker's own slab and the free list over it (in the worker's memory).
class Slab {
 public:
  // Takes over slot's slab: sweeps what a dead predecessor left (see above). `high_water` is a word
  // in the segment that only this class changes: entries at or above it have never been used, so a
  // sweep of an unused slab touches nothing.
  Slab(SessionDirectory directory, uint16_t slot, uint16_t node, std::atomic<uint32_t>& high_water)
      : Slab(directory, slot, node, high_water, Predecessor::dead) {}

  // The former owner of the slab. If it lives, nothing is swept: it goes on writing until take_over(),
  // and nothing else is called here before that.
  enum class Predecessor : uint8_t { dead, living };
  Slab(SessionDirectory directory, uint16_t slot, uint16_t node, std::atomic<uint32_t>& high_water,
       Predecessor predecessor);
  // The predecessor writes no more: entries in use stay in use, free ones can be claimed. Writes
  // nothing.
  void take_over();

  // A new session in state `connecting` with a fresh id; empty when the slab is full, or has no page for one more:
  // then no_page() says so.
  std::optional<SessionId> claim(const SessionOrigin& origin);
  bool no_page() const { return no_page_; }
  void set_state(const SessionId& id, SessionState state);
  void set_flags(const SessionId& id, uint8_t flags);
  // The flag kDetached alone.
  void set_detached(const SessionId& id, bool detached);
  // Its client has come back, perhaps from elsewhere: the peer, and the place where its address is counted.
  void set_peer(const SessionId& id, const SessionOrigin& origin);
  // After a handover to a process with another configuration.
  void set_listener(const SessionId& id, uint16_t listener);
  // At most kMaxUserBytes; "" takes the user away. // I4
  void set_user(const SessionId& id, std::string_view user);
  // The place where its address is counted; the entry forgets it.
  uint32_t take_address_place(const SessionId& id);
  void set_counts(const SessionId& id, uint32_t messages_in, uint32_t messages_out,
                  uint32_t unsent_bytes);
  // The entry becomes free, its index the next to be claimed. No call here knows the id any more.
  void release(const SessionId& id);

  // Sessions to which a dead predecessor owed a close event, now `closing` with kCrashed set and
  // owned by this slot.
  const std::vector<SessionView>& orphans() const { return orphans_; }
  uint32_t in_use() const { return in_use_; }

 private:
  void sweep(uint32_t index);
  DirectoryEntry& mine(const SessionId& id);
  static void store(DirectoryEntry& entry, Control control);  // version + 1, release  // I1

  SessionDirectory directory_;
  uint16_t slot_, node_;
  std::atomic<uint32_t>& high_water_;
  std::vector<uint32_t> free_;
  std::vector<SessionView> orphans_;
  uint32_t in_use_ = 0;
  bool no_page_ = false;  // why the last claim() came back empty
};

}  // namespace holdfast::shm
