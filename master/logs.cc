#include "master/logs.h"

#include <cerrno>

#include "base/fd.h"
#include "base/log.h"
#include "base/log_guard.h"

namespace holdfast::master {
namespace {

Result<void> give_to_workers(const Generation& generation) {
  const LogSettings& log = generation.config.log;
  if (!generation.rights.change || log.target == "stderr") return {};
  if (chown(log.target.c_str(), generation.rights.uid, generation.rights.gid) != 0)
    return Error{Errc::io, errno,
                 fmt::format("give log {} to {}", log.target, generation.rights.user)};
  return {};
}

}  // namespace

Result<void> check_log_target(const LogSettings& settings) {
  if (settings.target == "stderr") return {};
  UniqueFd fd(open(settings.target.c_str(),
                   O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644));
  if (!fd)
    return Error{Errc::io, errno,
                 fmt::format("log.target = \"{}\": cannot be opened{}", settings.target,
                             errno == ENXIO ? ", for nobody reads it" : "")};
  return {};
}

Result<void> open_master_log(const Generation& generation) {
  guard_stderr();
  auto opened = open_log(generation.config.log, "master");
  if (!opened) return opened;
  return give_to_workers(generation);
}

Result<void> reopen_master_log(const Generation& generation) {
  auto opened = reopen_log();
  if (!opened) return opened;
  return give_to_workers(generation);
}

}  // namespace holdfast::master
