#include "master/memory_room.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/cgroup.h"
#include "base/log.h"
#include "master/instance.h"

namespace holdfast::master {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;

// For people: a tenth of a MiB more rather than less.
std::string mib(uint64_t bytes) {
  uint64_t tenths = (bytes * 10 + kMiB - 1) / kMiB;
  return fmt::format("{}.{} MiB", tenths / 10, tenths % 10);
}

uint64_t page_up(uint64_t bytes) {
  return (bytes + shm::kPage - 1) / shm::kPage * shm::kPage;
}

std::string parts_of(const MemoryNeeds& needs) {
  return fmt::format(
      "mailboxes {}, sessions {}, client addresses {}, channel filter {}, idempotency keys {}, "
      "kept messages {}",
      mib(needs.mailboxes), mib(needs.sessions), mib(needs.addresses), mib(needs.filter),
      mib(needs.keys), mib(needs.history));
}

std::string room_text(const MemoryRoom& room) {
  std::string text = room.free ? fmt::format("/dev/shm has {} free", mib(*room.free))
                               : std::string("/dev/shm has no bound");
  if (room.group) text += fmt::format(", the control group may have {} in all", mib(*room.group));
  return text;
}

}  // namespace

MemoryNeeds memory_needs(const conf::Config& config) {
  shm::Capacities capacities = capacities_of(config);
  shm::Layout layout = shm::Layout::of(capacities);
  uint64_t workers = config.server.workers, slots = capacities.max_workers;
  uint64_t ahead = shm::Pages::kAhead;
  MemoryNeeds needs;
  // Header, heads, stats, the first page of each ring, and a little of everything for each worker.
  needs.least = layout.stats + slots * page_up(sizeof(shm::StatsFields)) +
                workers * workers * shm::kPage + workers * (ahead + 2 * shm::kPage);
  needs.mailboxes = workers * (workers - 1) * (layout.ring_stride - shm::kPage);
  needs.sessions = (uint64_t{capacities.max_sessions} + workers) * sizeof(shm::DirectoryEntry);
  bool counted =
      config.limits.max_connections_per_ip != 0 || config.limits.connect_rate_per_ip != 0;
  if (counted)
    needs.addresses = workers * shm::AddressTable::entries_for(capacities.max_sessions) *
                      sizeof(shm::AddressEntry);
  needs.filter = layout.receipts - layout.filter;
  needs.keys = layout.mailboxes - layout.receipts;
  bool kept = std::any_of(config.channels.begin(), config.channels.end(),
                          [](const conf::ChannelRule& rule) { return rule.history_size > 0; });
  if (kept) needs.history = layout.total - layout.shards;
  return needs;
}

Result<MemoryRoom> memory_room(const std::string& instance, const std::string& folder,
                               const std::string& root) {
  struct statvfs about {};
  if (statvfs(folder.c_str(), &about) != 0)
    return Error{Errc::io, errno,
                 folder + ": shared memory needs a file system there (tmpfs), mounted"};
  if ((about.f_flag & ST_RDONLY) != 0)
    return Error{Errc::io, EROFS, folder + ": shared memory needs a file system there to write to"};
  MemoryRoom room;
  if (about.f_blocks != 0) room.free = uint64_t{about.f_bavail} * about.f_frsize;
  struct stat former {};
  std::string path = folder + "/holdfast." + instance;
  if (room.free && stat(path.c_str(), &former) == 0) *room.free += uint64_t(former.st_blocks) * 512;
  room.group = cgroup_limits(root).memory_bytes;
  return room;
}

MemoryVerdict judge_memory(const MemoryNeeds& needs, const MemoryRoom& room) {
  using Kind = MemoryVerdict::Kind;
  auto exceeds = [](uint64_t bytes, const std::optional<uint64_t>& bound) {
    return bound && bytes > *bound;
  };
  std::string there = room_text(room);
  if (exceeds(needs.least, room.free) || exceeds(needs.least, room.group))
    return {Kind::impossible,
            fmt::format("shared memory needs at least {}, and {}; give it more room (docker: "
                        "--shm-size), or lower server.workers or server.max_workers",
                        mib(needs.least), there)};
  std::string text = fmt::format("shared memory may need from {} to {} ({}); {}", mib(needs.least),
                                 mib(needs.most()), parts_of(needs), there);
  if (exceeds(needs.most(), room.free))
    return {Kind::tight,
            text + fmt::format(
                       "; once it is full, pushes, sessions and keys are refused "
                       "(memory.refused): give it more room (docker: --shm-size={}m), or "
                       "lower limits.max_sessions, limits.mailbox_size, limits.history_memory or "
                       "server.workers",
                       needs.most() / kMiB + 1)};
  if (exceeds(needs.most(), room.group))
    return {Kind::tight, text + "; beyond the control group's limit the kernel kills a process"};
  return {Kind::fits, text};
}

Result<void> check_memory(const conf::Config& config) {
  auto room = memory_room(config.server.instance);
  if (!room) return std::move(room.error());
  MemoryVerdict verdict = judge_memory(memory_needs(config), *room);
  if (verdict.kind == MemoryVerdict::Kind::impossible)
    return Error{Errc::limit, 0, std::move(verdict.text)};
  if (verdict.kind == MemoryVerdict::Kind::tight)
    log_warn("{}", verdict.text);
  else
    log_info("{}", verdict.text);
  return {};
}

std::string memory_warning(const conf::Config& config) {
  auto room = memory_room(config.server.instance);
  if (!room) return room.error().text();
  MemoryVerdict verdict = judge_memory(memory_needs(config), *room);
  return verdict.kind == MemoryVerdict::Kind::fits ? "" : std::move(verdict.text);
}

}  // namespace holdfast::master
