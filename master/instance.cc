#include "master/instance.h"

#include "master/runtime_dir.h"

namespace holdfast::master {

shm::Capacities capacities_of(const conf::Config& config) {
  const conf::Limits& limits = config.limits;
  return {config.server.max_workers, limits.max_sessions, limits.filter_buckets,
          uint32_t(limits.mailbox_size), limits.idempotency_keys};
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
