// Longer than other sources: Boost.Interprocess has this one door, so creating, adopting, attaching and owning the object stand
// together.
#include "shm/segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "base/random.h"

namespace holdfast::shm {

namespace bip = boost::interprocess;

namespace {

// Every round lost means that another master got on, so few are enough.
constexpr int kRounds = 100;

std::string object_name(const std::string& instance) {
  return "holdfast." + instance;
}

int handle_of(const bip::shared_memory_object& object) {
  return object.get_mapping_handle().handle;
}

// False once the name was taken from the file (shm_unlink); nobody links it a second time.
bool has_name(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

enum class LockOutcome { ours, theirs, failed };

struct LockAnswer {
  LockOutcome outcome;
  pid_t holder = 0;  // theirs: 0 if it just let go or lives in another pid namespace
  int sys = 0;       // failed
};

LockAnswer try_lock(int fd) {
  struct flock lock = whole_file();
  if (fcntl(fd, F_SETLK, &lock) == 0) return {LockOutcome::ours};
  if (errno != EAGAIN && errno != EACCES) return {LockOutcome::failed, 0, errno};
  lock = whole_file();
  bool known = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
  return {LockOutcome::theirs, known ? lock.l_pid : 0};
}

Error failed(std::string what, const bip::interprocess_exception& e) {
  bool gone = e.get_error_code() == bip::not_found_error;
  return {gone ? Errc::gone : Errc::io, e.get_native_error(), std::move(what)};
}

Error unlocked(const std::string& instance, const LockAnswer& lock) {
  if (lock.outcome == LockOutcome::failed)
    return {Errc::io, lock.sys, fmt::format("lock segment {}", object_name(instance))};
  std::string pid = lock.holder > 0 ? fmt::format(", master pid {}", lock.holder) : "";
  return {Errc::busy, 0,
          fmt::format("instance \"{}\" is already running{}; stop it or choose another "
                      "server.instance",
                      instance, pid)};
}

Error incompatible(const std::string& name, std::string_view why) {
  return {Errc::incompatible, 0, fmt::format("attach segment {}: {}", name, why)};
}

// What Boost's mapped_region asks of something that can be mapped.
struct InheritedFile {
  int fd;
  bip::mapping_handle_t get_mapping_handle() const { return {fd, false}; }
  bip::mode_t get_mode() const { return bip::read_write; }
};

void copy_text(char* to, size_t room, const std::string& text) {
  std::memset(to, 0, room);
  text.copy(to, room - 1);  // the last byte stays 0
}

void fill_header(Header& header, const SegmentIdentity& identity, const Layout& layout) {
  header.layout_version = kLayoutVersion;
  header.node_id = identity.node_id;
  header.capacities = layout.capacities;
  header.total_bytes = layout.total;
  header.master_pid.store(uint32_t(getpid()), std::memory_order_relaxed);
  header.generation.store(1, std::memory_order_relaxed);
  header.started_wall_ms.store(wall_ms(), std::memory_order_relaxed);
  header.reloaded_wall_ms.store(0, std::memory_order_relaxed);
  fill_random(&header.address_seed, sizeof header.address_seed);
  TicketKeys(header.ticket_keys).renew(monotonic_ms());
  header.ensured.store(1, std::memory_order_relaxed);
  header.name_key = random_hash_key();
  copy_text(header.build, sizeof header.build, HOLDFAST_VERSION);
  copy_text(header.instance, sizeof header.instance, identity.instance);
  copy_text(header.runtime_dir, sizeof header.runtime_dir, identity.runtime_dir);
  header.magic.store(kMagic, std::memory_order_release);  // R3: now it is there
}

// Takes the name from what a killed master left. The answer says whose the name is: `ours` if it is
// free to be created. May throw.
LockAnswer remove_leftover(const std::string& name) {
  bip::shared_memory_object leftover;
  try {
    bip::shared_memory_object(bip::open_only, name.c_str(), bip::read_write).swap(leftover);
  } catch (const bip::interprocess_exception& e) {
    if (e.get_error_code() != bip::not_found_error) throw;
    return {LockOutcome::ours};
  }
  LockAnswer lock = try_lock(handle_of(leftover));
  // Another master may have replaced it between our opening and locking: then the name is that
  // one's. // I1
  if (lock.outcome == LockOutcome::ours && has_name(handle_of(leftover)))
    bip::shared_memory_object::remove(name.c_str());
  return lock;
}

// One attempt to own a fresh, empty, locked file with the name; nothing in `object` and `ours`: try
// again.
LockAnswer create_locked(const std::string& name, bip::shared_memory_object* object) {
  LockAnswer lock = remove_leftover(name);
  if (lock.outcome != LockOutcome::ours) return lock;
  bip::shared_memory_object fresh;
  try {
    bip::permissions mode(0600);
    bip::shared_memory_object(bip::create_only, name.c_str(), bip::read_write, mode).swap(fresh);
  } catch (const bip::interprocess_exception& e) {
    if (e.get_error_code() != bip::already_exists_error) throw;
    return {LockOutcome::ours};
  }
  lock = try_lock(handle_of(fresh));
  // Between creating and locking it looks like a left-over; one that took it for that has unlinked
  // it. // I1
  if (lock.outcome == LockOutcome::ours && has_name(handle_of(fresh))) object->swap(fresh);
  return lock;
}

}  // namespace

struct Segment::Impl {
  std::string name;
  // One of the two holds the lock: closing it would drop it. A second descriptor of the same file
  // would do the same harm when it is closed.  // I2
  bip::shared_memory_object object;
  UniqueFd adopted;
  bip::mapped_region region;
  Layout layout{};
  std::optional<Pages> pages;
  pid_t creator = 0;   // holds the lock; a forked child differs from it
  bool named = false;  // the creator has not taken the name away yet

  char* at(size_t offset) const { return static_cast<char*>(region.get_address()) + offset; }
  int fd() const { return adopted ? adopted.get() : handle_of(object); }
  bool is_creator() const { return creator == getpid(); }

  LockAnswer own(const std::string& instance);
  Result<void> lay_out(const SegmentIdentity& identity);
  void look_at_pages() { pages.emplace(fd(), at(0), region.get_size()); }
  SlotHead& head(uint32_t slot) const {
    return reinterpret_cast<SlotHead*>(at(layout.slot_heads))[slot];
  }
  StatsBlock& stats(uint32_t slot) const {
    return reinterpret_cast<StatsBlock*>(at(layout.stats))[slot];
  }
  char* ring(uint32_t from, uint32_t to) const {
    return at(layout.mailboxes +
              (size_t(from) * layout.capacities.max_workers + to) * layout.ring_stride);
  }
  ShardHead* shard_heads() const { return reinterpret_cast<ShardHead*>(at(layout.shard_heads)); }
  char* slab(uint32_t slot) const {
    return at(layout.directory +
              size_t(slot) * layout.capacities.max_sessions * sizeof(DirectoryEntry));
  }
  size_t slab_bytes(uint32_t slot) const {
    uint32_t used = std::min(stats(slot).slab_high_water.load(std::memory_order_acquire),
                             layout.capacities.max_sessions);
    return used * sizeof(DirectoryEntry);
  }
  // Whether somebody has served it, ever.
  bool has_begun(uint32_t slot) const {
    return head(slot).started_wall_ms.load(std::memory_order_relaxed) != 0;
  }
  Result<void> ensure_beginning();
  bool ensure_rings(uint32_t slot);
  Result<void> ensure_older();
  bool readable();
  Result<void> read_layout(const std::string& instance);
  void unlink();
};

// On success the file is ours: locked, empty, with the name. May throw.
LockAnswer Segment::Impl::own(const std::string& instance) {
  name = object_name(instance);
  for (int round = 0; round < kRounds; ++round) {
    LockAnswer lock = create_locked(name, &object);
    if (lock.outcome != LockOutcome::ours) return lock;
    if (handle_of(object) == -1) continue;
    creator = getpid();
    named = true;
    return lock;
  }
  return {LockOutcome::theirs};
}

// Sparse: truncate() allocates nothing, and of the pages only the header's is touched here. May
// throw.
Result<void> Segment::Impl::lay_out(const SegmentIdentity& identity) {
  object.truncate(bip::offset_t(layout.total));
  bip::mapped_region(object, bip::read_write, 0, layout.total).swap(region);
  look_at_pages();
  if (Result<void> done = ensure_beginning(); !done) return done;
  fill_header(*new (at(0)) Header, identity, layout);
  return {};
}

// Header, heads, and of the stats what is counted.  // I4
Result<void> Segment::Impl::ensure_beginning() {
  bool there = pages->ensure(at(0), layout.stats);
  for (uint32_t slot = 0; slot < layout.capacities.max_workers; ++slot)
    there = there && pages->ensure(&stats(slot), sizeof(StatsFields));
  uint32_t shards = layout.capacities.stream_shards;
  if (shards > 0) there = there && pages->ensure(shard_heads(), shards * sizeof(ShardHead));
  if (there) return {};
  return Error{
      Errc::limit, ENOSPC,
      fmt::format(
          "segment {}: the file system of /dev/shm has no room for the least it needs, {} KiB",
          name,
          (layout.stats + layout.capacities.max_workers * sizeof(StatsFields) +
           shards * sizeof(ShardHead)) /
              1024)};
}

bool Segment::Impl::ensure_rings(uint32_t slot) {
  for (uint32_t other = 0; other < layout.capacities.max_workers; ++other) {
    if (other != slot && !has_begun(other)) continue;
    if (!pages->ensure(ring(slot, other), sizeof(RingHead)) ||
        !pages->ensure(ring(other, slot), sizeof(RingHead)))
      return false;
  }
  return true;
}

// Of a segment that an older version has made: its processes may have died between raising a high water and touching the
// page below it.
Result<void> Segment::Impl::ensure_older() {
  // What is counted may have become more, whoever made it.
  if (Result<void> done = ensure_beginning(); !done) return done;
  auto& header = *reinterpret_cast<Header*>(at(0));
  if (header.ensured.load(std::memory_order_relaxed) != 0) return {};
  for (uint32_t slot = 0; slot < layout.capacities.max_workers; ++slot)
    if (has_begun(slot) && !(ensure_rings(slot) && pages->ensure(slab(slot), slab_bytes(slot))))
      return Error{Errc::limit, ENOSPC,
                   fmt::format("segment {}: the file system of /dev/shm is full", name)};
  header.ensured.store(1, std::memory_order_relaxed);
  return {};
}

// May all that a reader walks be touched? Of an older version's segment it may not be there; then a full file system is no
// place to try.  // I3
bool Segment::Impl::readable() {
  if (reinterpret_cast<const Header*>(at(0))->ensured.load(std::memory_order_relaxed) != 0)
    return true;
  struct statvfs room {};
  if (fstatvfs(fd(), &room) != 0 || room.f_blocks == 0) return true;
  size_t most = layout.capacities.max_workers * sizeof(StatsFields) + kPage;
  if (size_t{room.f_bavail} * room.f_frsize > 2 * most) return true;
  bool there = pages->there(at(0), layout.stats);
  for (uint32_t slot = 0; there && slot < layout.capacities.max_workers; ++slot)
    there = pages->there(&stats(slot), sizeof(StatsFields)) &&
            pages->there(slab(slot), slab_bytes(slot));
  return there;
}

// Of the header only what is checked is used, and each word of it is read once.
Result<void> Segment::Impl::read_layout(const std::string& instance) {
  const auto& header = *reinterpret_cast<const Header*>(at(0));
  if (header.magic.load(std::memory_order_acquire) != kMagic)
    return incompatible(name, "not laid out (yet)");
  if (uint32_t version = header.layout_version; version != kLayoutVersion)
    return incompatible(name,
                        fmt::format("layout {}, this binary wants {}", version, kLayoutVersion));
  std::string_view of(header.instance, strnlen(header.instance, sizeof header.instance));
  if (of != instance) return incompatible(name, "its header names another instance");
  Capacities capacities = header.capacities;
  if (!Layout::possible(capacities)) return incompatible(name, "senseless capacities");
  layout = Layout::of(capacities);
  if (header.total_bytes != layout.total || region.get_size() < layout.total)
    return incompatible(name, fmt::format("{} bytes mapped, {} by its header, {} by its layout",
                                          region.get_size(), header.total_bytes, layout.total));
  return {};
}

void Segment::Impl::unlink() {
  // The name may be another's if somebody removed our file by hand.
  if (is_creator() && std::exchange(named, false) && has_name(fd()))
    bip::shared_memory_object::remove(name.c_str());
}

Segment::Segment(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Segment::Segment(Segment&&) noexcept = default;

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Segment::~Segment() {
  if (impl_) unlink();
}

Result<Segment> Segment::create(const SegmentIdentity& identity, const Capacities& capacities) {
  if (!Layout::possible(capacities))
    return Error{Errc::limit, 0, "the segment's capacities are out of range"};
  if (identity.instance.size() >= sizeof(Header::instance))
    return Error{Errc::limit, 0, "server.instance is longer than 39 bytes"};
  if (identity.runtime_dir.size() >= sizeof(Header::runtime_dir))
    return Error{Errc::limit, 0, "server.runtime_dir is longer than 255 bytes"};
  auto impl = std::make_unique<Impl>();
  impl->layout = Layout::of(capacities);
  try {
    LockAnswer lock = impl->own(identity.instance);
    if (lock.outcome != LockOutcome::ours) return unlocked(identity.instance, lock);
    if (Result<void> done = impl->lay_out(identity); !done) {
      impl->unlink();
      return std::move(done.error());
    }
  } catch (const bip::interprocess_exception& e) {
    impl->unlink();
    return failed(fmt::format("create segment {} of {} bytes", impl->name, impl->layout.total), e);
  }
  return Segment(std::move(impl));
}

Result<Segment> Segment::adopt(const std::string& instance, int fd) {
  auto impl = std::make_unique<Impl>();
  impl->name = object_name(instance);
  struct stat file {};
  if (fstat(fd, &file) != 0 || file.st_size < off_t(sizeof(Header)))
    return incompatible(impl->name, "its descriptor is not a segment");
  LockAnswer lock = try_lock(fd);
  if (lock.outcome != LockOutcome::ours) return unlocked(instance, lock);
  try {
    bip::mapped_region(InheritedFile{fd}, bip::read_write).swap(impl->region);
  } catch (const bip::interprocess_exception& e) {
    return failed(fmt::format("map segment {}", impl->name), e);
  }
  if (auto read = impl->read_layout(instance); !read) return std::move(read.error());
  impl->pages.emplace(fd, impl->at(0), impl->region.get_size());
  if (auto there = impl->ensure_older(); !there) return std::move(there.error());
  impl->adopted = UniqueFd(fd);  // not before: on errors it stays the caller's
  impl->creator = getpid();
  impl->named = true;
  Segment segment(std::move(impl));
  copy_text(segment.header().build, sizeof(Header::build), HOLDFAST_VERSION);
  // An older version has made it without; its header ends in zeros.
  if (!segment.ticket_keys().any()) segment.ticket_keys().renew(monotonic_ms());
  return segment;
}

Result<Segment> Segment::attach(const std::string& instance) {
  auto impl = std::make_unique<Impl>();
  impl->name = object_name(instance);
  try {
    bip::shared_memory_object(bip::open_only, impl->name.c_str(), bip::read_only)
        .swap(impl->object);
    bip::offset_t size = 0;
    if (!impl->object.get_size(size) || size < bip::offset_t(sizeof(Header)))
      return incompatible(impl->name, "not laid out (yet)");
    bip::mapped_region(impl->object, bip::read_only).swap(impl->region);
    impl->look_at_pages();
    if (!impl->pages->there(impl->at(0), kPage))
      return incompatible(impl->name, "not laid out (yet)");
  } catch (const bip::interprocess_exception& e) {
    bool gone = e.get_error_code() == bip::not_found_error;
    return failed(fmt::format("attach segment {}{}", impl->name, gone ? ": no such instance" : ""),
                  e);
  }
  if (auto read = impl->read_layout(instance); !read) return std::move(read.error());
  if (!impl->readable())
    return incompatible(impl->name,
                        "the file system of /dev/shm is full, and not all of it is there");
  return Segment(std::move(impl));
}

int Segment::fd() const {
  return impl_->fd();
}

void Segment::disown() {
  impl_->creator = 0;
  impl_->named = false;
}

void Segment::unlink() {
  impl_->unlink();
}

bool Segment::prepare_slot(uint32_t slot) {
  return impl_->ensure_rings(slot);
}

Pages& Segment::pages() const {
  return *impl_->pages;
}

bool Segment::master_alive() const {
  if (impl_->is_creator()) return true;
  struct flock lock = whole_file();
  return fcntl(impl_->fd(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

Header& Segment::header() const {
  return *reinterpret_cast<Header*>(impl_->at(0));
}
const Capacities& Segment::capacities() const {
  return impl_->layout.capacities;
}

SlotHead& Segment::slot(uint32_t index) const {
  return impl_->head(index);
}

StatsBlock& Segment::stats(uint32_t slot) const {
  return impl_->stats(slot);
}

SessionDirectory Segment::directory() const {
  return {reinterpret_cast<DirectoryEntry*>(impl_->at(impl_->layout.directory)),
          capacities().max_workers, capacities().max_sessions,
          reinterpret_cast<const StatsBlock*>(impl_->at(impl_->layout.stats)), &pages()};
}

ChannelFilter Segment::filter() const {
  return {reinterpret_cast<std::atomic<uint16_t>*>(impl_->at(impl_->layout.filter)),
          capacities().filter_buckets,
          capacities().max_workers,
          name_key(),
          {&pages(), &slot(0), &header().filter_overflowed}};
}

ReceiptTable Segment::receipts() const {
  return {reinterpret_cast<ReceiptEntry*>(impl_->at(impl_->layout.receipts)), capacities().receipts,
          reinterpret_cast<const SlotHead*>(impl_->at(impl_->layout.slot_heads)),
          capacities().max_workers, &pages()};
}

AddressTable Segment::addresses() const {
  return {reinterpret_cast<AddressEntry*>(impl_->at(impl_->layout.addresses)),
          reinterpret_cast<SlotHead*>(impl_->at(impl_->layout.slot_heads)),
          capacities().max_workers,
          AddressTable::entries_for(capacities().max_sessions),
          header().address_seed,
          name_key(),
          &pages()};
}

StreamSpace Segment::streams() const {
  return {impl_->shard_heads(), impl_->at(impl_->layout.shards), capacities().stream_shards,
          name_key(), &pages()};
}

HashKey Segment::name_key() const {
  return header().name_key;
}

TicketKeys Segment::ticket_keys() const {
  return TicketKeys(header().ticket_keys);
}

MailboxRing Segment::ring(uint32_t from, uint32_t to) const {
  char* ring = impl_->ring(from, to);
  return {reinterpret_cast<RingHead*>(ring), ring + sizeof(RingHead), capacities().mailbox_bytes,
          &pages()};
}

}  // namespace holdfast::shm
