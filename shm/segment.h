// shm/segment.h - the shared segment as a resource: made by the master, inherited by workers, read
// by holdfastctl.
//
// The master holds a lock (fcntl F_SETLK, so children do not inherit it) on the segment's file for
// as long as it lives. create() uses it to tell "another master runs" from "left over by a killed
// one".
//
// Invariants
//   I1  Only the process that holds the lock of the file that has the name may remove the name, and
//       a process is a master only if its locked file has the name. So of several that start at
//       once only one goes on.
//   I2  A process drops the lock when it closes any descriptor of the file, and does not exclude
//       itself: the master's process must neither attach() to its own segment nor create() twice.
//   I3  attach() writes nothing and never waits; a segment that it accepts lies within the file's real size, and the parts
//       that all readers walk (heads, stats, slabs up to their high water) are there, whichever version has made them: nobody
//       dies of reading in a file system that is full.
//   I4  The pages that layout.h lists as there from the beginning are ensured by create() and, in a segment that an older
//       version has made, by adopt().
//
// After a crash of the master: the kernel drops the lock, the file stays; attach() still works,
// master_alive() says no.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/hash.h"
#include "base/result.h"
#include "shm/addresses.h"
#include "shm/channel_filter.h"
#include "shm/layout.h"
#include "shm/mailbox.h"
#include "shm/pages.h"
#include "shm/receipts.h"
#include "shm/session_directory.h"
#include "shm/stats.h"
#include "shm/stream_shard.h"

namespace holdfast::shm {

struct SegmentIdentity {
  std::string instance;
  std::string runtime_dir;
  uint16_t node_id = 1;
};

class Segment {
 public:
  // Lays out a new segment and takes its lock. Errc::busy with the running master's pid in the text
  // if the name is in use; a left-over one (lock free) is unlinked and replaced, whatever its
  // layout version. Errc::limit for capacities that Layout::possible() refuses and texts too long
  // for the header, and if the file system has no room for the least. // I1, I4
  static Result<Segment> create(const SegmentIdentity& identity, const Capacities& capacities);
  // The segment that the former image of this process has created: its descriptor, and with it the
  // lock, came through execve(2). From then on it is as if created here. Errors as attach(); then the
  // descriptor stays the caller's.
  static Result<Segment> adopt(const std::string& instance, int fd);
  // Maps an existing one read-only, for holdfastctl and tests. Errc::gone: no such instance.
  // Errc::incompatible: other layout version, not finished, or not as long as it says. // I3
  static Result<Segment> attach(const std::string& instance);

  Segment(Segment&&) noexcept;
  Segment& operator=(Segment&&) noexcept;
  // The process that created it removes its name; a forked child only unmaps.
  ~Segment();
  // Called by a worker after fork: makes the destructor leave the name alone.
  void disown();
  // The creator's descriptor, which holds the lock.
  int fd() const;
  // The master calls it before the first process of a slot: the pages that this process reads and writes without asking are
  // there from now on. False: there is no memory for them.
  bool prepare_slot(uint32_t slot);
  Pages& pages() const;
  // The name goes now; mapped processes keep the memory. Idempotent.
  void unlink();

  Header& header() const;
  const Capacities& capacities() const;
  SlotHead& slot(uint32_t index) const;
  StatsBlock& stats(uint32_t slot) const;
  SessionDirectory directory() const;
  ChannelFilter filter() const;
  ReceiptTable receipts() const;
  AddressTable addresses() const;
  StreamSpace streams() const;
  TicketKeys ticket_keys() const;
  // The key of the hashes of names in it; none in a segment that an older version has made.
  HashKey name_key() const;
  // The ring written by `from` and read by `to`.
  MailboxRing ring(uint32_t from, uint32_t to) const;
  // Is a living master holding the lock? (attach() side; a read-only opener can ask.)
  bool master_alive() const;

 private:
  struct Impl;
  explicit Segment(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::shm
