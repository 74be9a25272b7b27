#include "shm/segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/clock.h"

namespace holdfast::shm {

namespace bip = boost::interprocess;

struct Segment::Impl {
  std::string name;
  bip::shared_memory_object object;  // holds the lock: closing it would drop it
  bip::mapped_region region;
  Layout layout{};
  bool owner = false;

  char* at(size_t offset) const { return static_cast<char*>(region.get_address()) + offset; }
  int fd() const { return object.get_mapping_handle().handle; }
};

namespace {

std::string object_name(const std::string& instance) { return "holdfast." + instance; }

int handle_of(const bip::shared_memory_object& object) { return object.get_mapping_handle().handle; }

Error failed(const std::string& what, const bip::interprocess_exception& e) {
  return {e.get_error_code() == bip::not_found_error ? Errc::gone : Errc::io, e.get_native_error(), what};
}

// 0: we have it. Otherwise the pid of whoever does (or -1: unknown).
pid_t try_lock(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_SETLK, &lock) == 0) return 0;
  lock.l_type = F_WRLCK;
  if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) return lock.l_pid;
  return -1;
}

Error busy(const std::string& instance, pid_t pid) {
  return {Errc::busy, 0,
          fmt::format("instance \"{}\" is already running, master pid {}; stop it or choose another server.instance",
                      instance, pid)};
}

// Offsets must not overflow, and a directory index has 32 bits.
bool sensible(const Capacities& c) {
  auto power_of_two = [](uint32_t n) { return n != 0 && (n & (n - 1)) == 0; };
  return c.max_workers >= 1 && c.max_workers <= 4096 && c.max_sessions >= 1 &&
         uint64_t(c.max_workers) * c.max_sessions <= UINT32_MAX && power_of_two(c.filter_buckets) &&
         c.filter_buckets <= (1u << 24) && power_of_two(c.mailbox_bytes) && c.mailbox_bytes >= 1024 &&
         c.mailbox_bytes <= (1u << 30);
}

void copy_text(char* to, size_t room, const std::string& text) {
  std::memset(to, 0, room);
  std::memcpy(to, text.data(), std::min(text.size(), room - 1));
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
  copy_text(header.build, sizeof header.build, HOLDFAST_VERSION);
  copy_text(header.instance, sizeof header.instance, identity.instance);
  copy_text(header.runtime_dir, sizeof header.runtime_dir, identity.runtime_dir);
  header.magic.store(kMagic, std::memory_order_release);  // R3: now it is there
}

// Removes what a killed master left. The left-over's lock is held until our own segment is locked, so that of two
// masters starting at once only one comes past this.
Result<bip::shared_memory_object> replace_leftover(const std::string& instance) {
  bip::shared_memory_object leftover;
  try {
    bip::shared_memory_object(bip::open_only, object_name(instance).c_str(), bip::read_write).swap(leftover);
  } catch (const bip::interprocess_exception& e) {
    if (e.get_error_code() == bip::not_found_error) return leftover;
    return failed(fmt::format("open segment {}", object_name(instance)), e);
  }
  if (pid_t pid = try_lock(handle_of(leftover)); pid != 0) return busy(instance, pid);
  bip::shared_memory_object::remove(object_name(instance).c_str());
  return leftover;
}

}  // namespace

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
  if (!sensible(capacities)) return Error{Errc::limit, 0, "segment capacities out of range"};
  if (identity.runtime_dir.size() >= sizeof(Header::runtime_dir))
    return Error{Errc::limit, 0, "server.runtime_dir is longer than 255 bytes"};
  auto leftover = replace_leftover(identity.instance);
  if (!leftover) return std::move(leftover.error());
  auto impl = std::make_unique<Impl>();
  impl->name = object_name(identity.instance);
  impl->layout = Layout::of(capacities);
  try {
    bip::permissions mode(0600);
    bip::shared_memory_object(bip::create_only, impl->name.c_str(), bip::read_write, mode).swap(impl->object);
    if (pid_t pid = try_lock(impl->fd()); pid != 0) return busy(identity.instance, pid);
    impl->owner = true;
    // Sparse: ftruncate allocates nothing, a page is there once it is touched.
    impl->object.truncate(bip::offset_t(impl->layout.total));
    bip::mapped_region(impl->object, bip::read_write, 0, impl->layout.total).swap(impl->region);
  } catch (const bip::interprocess_exception& e) {
    if (impl->owner) bip::shared_memory_object::remove(impl->name.c_str());
    if (e.get_error_code() == bip::already_exists_error) return busy(identity.instance, -1);
    return failed(fmt::format("create segment {} of {} bytes", impl->name, impl->layout.total), e);
  }
  fill_header(*new (impl->at(0)) Header, identity, impl->layout);
  return Segment(std::move(impl));
}

Result<Segment> Segment::attach(const std::string& instance) {
  auto impl = std::make_unique<Impl>();
  impl->name = object_name(instance);
  try {
    bip::shared_memory_object(bip::open_only, impl->name.c_str(), bip::read_only).swap(impl->object);
    bip::offset_t size = 0;
    if (!impl->object.get_size(size) || size < bip::offset_t(sizeof(Header)))
      return Error{Errc::incompatible, 0, fmt::format("segment {} is not laid out", impl->name)};
    bip::mapped_region(impl->object, bip::read_only).swap(impl->region);
  } catch (const bip::interprocess_exception& e) {
    return failed(fmt::format("attach segment {}: no such instance", impl->name), e);
  }
  const auto& header = *reinterpret_cast<const Header*>(impl->at(0));
  if (header.magic.load(std::memory_order_acquire) != kMagic)
    return Error{Errc::incompatible, 0, fmt::format("segment {} is not laid out", impl->name)};
  if (header.layout_version != kLayoutVersion)
    return Error{Errc::incompatible, 0,
                 fmt::format("attach segment {}: layout {}, this binary wants {}", impl->name, header.layout_version,
                             kLayoutVersion)};
  if (!sensible(header.capacities))
    return Error{Errc::incompatible, 0, fmt::format("segment {} has senseless capacities", impl->name)};
  impl->layout = Layout::of(header.capacities);
  if (header.total_bytes != impl->layout.total || impl->region.get_size() < impl->layout.total)
    return Error{Errc::incompatible, 0, fmt::format("segment {} has the wrong size", impl->name)};
  return Segment(std::move(impl));
}

void Segment::disown() { impl_->owner = false; }

void Segment::unlink() {
  if (std::exchange(impl_->owner, false)) bip::shared_memory_object::remove(impl_->name.c_str());
}

bool Segment::master_alive() const {
  if (impl_->owner) return true;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(impl_->fd(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

Header& Segment::header() const { return *reinterpret_cast<Header*>(impl_->at(0)); }
const Capacities& Segment::capacities() const { return impl_->layout.capacities; }

SlotHead& Segment::slot(uint32_t index) const {
  return reinterpret_cast<SlotHead*>(impl_->at(impl_->layout.slot_heads))[index];
}

StatsBlock& Segment::stats(uint32_t slot) const {
  return reinterpret_cast<StatsBlock*>(impl_->at(impl_->layout.stats))[slot];
}

SessionDirectory Segment::directory() const {
  return {reinterpret_cast<DirectoryEntry*>(impl_->at(impl_->layout.directory)), capacities().max_workers,
          capacities().max_sessions};
}

ChannelFilter Segment::filter() const {
  return {reinterpret_cast<std::atomic<uint16_t>*>(impl_->at(impl_->layout.filter)), capacities().filter_buckets,
          capacities().max_workers};
}

MailboxRing Segment::ring(uint32_t from, uint32_t to) const {
  size_t stride = (sizeof(RingHead) + capacities().mailbox_bytes + kPage - 1) / kPage * kPage;
  char* ring = impl_->at(impl_->layout.mailboxes + (size_t(from) * capacities().max_workers + to) * stride);
  return {reinterpret_cast<RingHead*>(ring), ring + sizeof(RingHead), capacities().mailbox_bytes};
}

}  // namespace holdfast::shm
