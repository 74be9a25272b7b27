#include "master/instance.h"

#include "base/log.h"
#include "master/leftover.h"
#include "master/memory_room.h"
#include "master/runtime_dir.h"

namespace holdfast::master {

shm::Capacities capacities_of(const conf::Config& config) {
  const conf::Limits& limits = config.limits;
  return {config.server.max_workers, limits.max_sessions,
          limits.filter_buckets,     uint32_t(limits.mailbox_size),
          limits.idempotency_keys,   uint32_t(limits.history_memory / shm::kShardBytes)};
}

Result<Instance> Instance::claim(const conf::Config& config) {
  auto dir = prepare_runtime_dir(config.server.runtime_dir);
  if (!dir) return std::move(dir.error());
  auto pid_file = PidFile::take(config.server.runtime_dir + "/holdfastd.pid");
  if (!pid_file) return std::move(pid_file.error());
  if (auto room = check_memory(config); !room) return std::move(room.error());
  // create() refuses a living master's segment, so one that was there before and did not stop it
  // was left over, also one of another layout.
  Leftover leftover = settle_leftover(config);
  auto segment = shm::Segment::create(
      {config.server.instance, config.server.runtime_dir, config.server.node_id},
      capacities_of(config));
  if (!segment) return std::move(segment.error());
  if (size_t lost = hand_down(leftover, config, *segment); lost > 0)
    log_error(
        "close events of a killed instance lost count={}; keep max_sessions and workers when you "
        "start it again",
        lost);
  return Instance{*std::move(pid_file), *std::move(segment), leftover.found};
}

}  // namespace holdfast::master
