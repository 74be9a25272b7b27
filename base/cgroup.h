// base/cgroup.h - the share of the machine that this process gets from its control groups (cgroups(7)).
//
// A container has its limits there: memory in memory.max (version 2) or memory.limit_in_bytes (1), processors in cpu.max or
// cpu.cfs_quota_us and cpu.cfs_period_us. A group's limit holds for all below it, so the smallest from our own group up to the
// root counts. A limit that cannot be read does not count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace holdfast {

struct CgroupLimits {
  std::optional<uint64_t> memory_bytes;
  std::optional<double> cpus;  // 1.5: a processor and a half
};

// `root`: a prefix for /proc/self/cgroup and /sys/fs/cgroup; tests have a tree of their own.
CgroupLimits cgroup_limits(const std::string& root = "");

// How many processes can work at once: the processors this process may run on (sched_setaffinity(2)), or fewer if a
// group has a quota of time, rounded up; at least 1.
unsigned usable_cpus(const std::string& root = "");

}  // namespace holdfast
