#include "master/instance.h"

#include <algorithm>
#include <bit>

#include "master/runtime_dir.h"

namespace holdfast::master {
namespace {

// A ring takes bodies of up to half its size (MailboxRing::max_body). Beside the message a record
// carries names and ids; 16 KiB of them go with the largest message, longer lists are split or
// refused by the router.
constexpr size_t kRecordExtras = 16 * 1024;
constexpr size_t kSmallestRing = 256 * 1024;

uint32_t ring_bytes(const conf::Limits& limits) {
  if (limits.mailbox_size != 0) return uint32_t(std::bit_ceil(limits.mailbox_size));
  return uint32_t(
      std::bit_ceil(std::max(kSmallestRing, 2 * (limits.max_message_size + kRecordExtras))));
}

}  // namespace

shm::Capacities capacities_of(const conf::Config& config) {
  return {config.server.max_workers, config.limits.max_sessions, config.limits.filter_buckets,
          ring_bytes(config.limits)};
}

Result<Instance> Instance::claim(const conf::Config& config) {
  auto dir = prepare_runtime_dir(config.server.runtime_dir);
  if (!dir) return std::move(dir.error());
  auto pid_file = PidFile::take(config.server.runtime_dir + "/holdfastd.pid");
  if (!pid_file) return std::move(pid_file.error());
  // create() refuses a living master's segment, so one that was there before and did not stop it
  // was left over, also one of another layout.
  auto former = shm::Segment::attach(config.server.instance);
  bool left_over = former || former.error().code != Errc::gone;
  auto segment = shm::Segment::create(
      {config.server.instance, config.server.runtime_dir, config.server.node_id},
      capacities_of(config));
  if (!segment) return std::move(segment.error());
  return Instance{*std::move(pid_file), *std::move(segment), left_over};
}

}  // namespace holdfast::master
