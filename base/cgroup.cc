#include "base/cgroup.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

namespace holdfast {
namespace {

// Beyond it is version 1's way to say that there is none: the largest multiple of a page.
constexpr uint64_t kNoMemoryLimit = uint64_t{1} << 62;

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

template <class T>
std::optional<T> number(const std::string& text) {
  std::istringstream in(text);
  T value;
  if (!(in >> value)) return {};
  return value;
}

template <class T>
void lower(std::optional<T>& limit, std::optional<T> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

// version 2: "max 100000", "150000 100000"
std::optional<double> quota(const std::string& line) {
  std::istringstream in(line);
  double time = 0, period = 0;
  if (!(in >> time >> period) || time <= 0 || period <= 0) return {};
  return time / period;
}

std::optional<uint64_t> memory(const std::string& text) {
  auto bytes = number<uint64_t>(text);
  if (bytes && *bytes >= kNoMemoryLimit) return {};
  return bytes;
}

void look_at_v2(const std::string& group, CgroupLimits& limits) {
  lower(limits.memory_bytes, memory(first_line(group + "/memory.max")));
  lower(limits.cpus, quota(first_line(group + "/cpu.max")));
}

void look_at_v1_memory(const std::string& group, CgroupLimits& limits) {
  lower(limits.memory_bytes, memory(first_line(group + "/memory.limit_in_bytes")));
}

void look_at_v1_cpu(const std::string& group, CgroupLimits& limits) {
  lower(limits.cpus, quota(first_line(group + "/cpu.cfs_quota_us") + " " +
                           first_line(group + "/cpu.cfs_period_us")));
}

// Our group and all above it. In a container the path may be one of the host's that is not to be seen here: then only what
// is mounted as the root can be looked at, which is ours.
template <class Look>
void walk(const std::string& mount, std::string path, CgroupLimits& limits, Look look) {
  for (;;) {
    look(mount + (path == "/" ? "" : path), limits);
    size_t slash = path.rfind('/');
    if (path.empty() || path == "/" || slash == path.npos) return;
    path.resize(slash);
  }
}

bool names(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

unsigned affinity() {
  // For machines of up to 8192 processors; sched_getaffinity(2) fails where there may be more.
  static constexpr unsigned kSets = 8;
  cpu_set_t sets[kSets] = {};
  if (sched_getaffinity(0, sizeof sets, sets) != 0)
    return std::max(1u, std::thread::hardware_concurrency());
  return unsigned(CPU_COUNT_S(sizeof sets, sets));
}

}  // namespace

// A line is "number:controllers:path"; version 2's is "0::path".
CgroupLimits cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  std::string mount = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    size_t first = line.find(':');
    size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      walk(mount, path, limits, look_at_v2);
      walk(mount + "/unified", path, limits, look_at_v2);
    }
    if (names(controllers, "memory")) walk(mount + "/memory", path, limits, look_at_v1_memory);
    if (names(controllers, "cpu")) {
      walk(mount + "/cpu", path, limits, look_at_v1_cpu);
      walk(mount + "/cpu,cpuacct", path, limits, look_at_v1_cpu);
    }
  }
  return limits;
}

unsigned usable_cpus(const std::string& root) {
  unsigned cpus = std::max(1u, affinity());
  CgroupLimits limits = cgroup_limits(root);
  if (!limits.cpus) return cpus;
  // A quota of 1.0000001 is not meant to be two.
  double quota = std::max(1.0, std::ceil(*limits.cpus - 1e-6));
  return quota < double(cpus) ? unsigned(quota) : cpus;
}

}  // namespace holdfast
