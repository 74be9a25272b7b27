#include "master/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace holdfast::master {
namespace {

// The most that even root may ask for.
uint64_t kernel_maximum() {
  uint64_t n = 0;
  std::ifstream("/proc/sys/fs/nr_open") >> n;
  return n;
}

bool set_limit(rlim_t soft, rlim_t hard) {
  rlimit limit{soft, hard};
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

uint64_t reserved_descriptors(const conf::Config& config) {
  uint64_t reserve = 64 + config.server.max_workers + config.listens.size() + config.apis.size();
  reserve += 128;  // API connections
  bool resumes = std::any_of(config.listens.begin(), config.listens.end(),
                             [](const conf::Listen& listen) { return listen.resume_ms != 0; });
  if (resumes) reserve += config.server.max_workers + 1;  // passages
  for (const auto& [name, backend] : config.backends)
    reserve += std::max(1u, backend.max_connections / config.server.workers) + 1;
  return reserve;
}

uint64_t sessions_held(const conf::Config& config, uint64_t limit) {
  uint64_t reserve = reserved_descriptors(config);
  return limit <= reserve ? 0 : (limit - reserve) * config.server.workers;
}

void raise_descriptor_limit(const conf::Config& config) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log_warn("descriptor limit unknown error=\"{}\"; going on with what there is",
             std::strerror(errno));
    return;
  }
  uint64_t wanted =
      config.limits.max_sessions / config.server.workers + 1 + reserved_descriptors(config);
  uint64_t more = std::min(wanted, kernel_maximum());
  // Only a privileged process may raise the hard limit, so a refusal is ordinary; the comparison
  // below is what counts.
  bool raised = more > limit.rlim_max && set_limit(more, more);
  if (!raised && limit.rlim_cur < limit.rlim_max && !set_limit(limit.rlim_max, limit.rlim_max))
    log_warn("descriptor limit not raised soft={} hard={} error=\"{}\"", limit.rlim_cur,
             limit.rlim_max, std::strerror(errno));
  getrlimit(RLIMIT_NOFILE, &limit);
  uint64_t held = sessions_held(config, limit.rlim_cur);
  std::string sum = fmt::format(
      "descriptors a worker={} reserved={} workers={} sessions possible={} max_sessions={}",
      limit.rlim_cur, reserved_descriptors(config), config.server.workers, held,
      config.limits.max_sessions);
  if (held >= config.limits.max_sessions)
    log_info("{}: enough", sum);
  else
    log_warn(
        "{}: not enough; raise the hard limit (LimitNOFILE, ulimit -Hn) or lower "
        "limits.max_sessions",
        sum);
}

}  // namespace holdfast::master
