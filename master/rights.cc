#include "master/rights.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/log.h"

namespace holdfast::master {

Result<Rights> rights_for(const std::string& user) {
  if (user.empty() || geteuid() != 0) return Rights{};
  std::vector<char> space(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  int error = getpwnam_r(user.c_str(), &entry, space.data(), space.size(), &found);
  if (found == nullptr)
    return Error{Errc::config, error, fmt::format("server.user = \"{}\": no such user", user)};
  return Rights{true, entry.pw_uid, entry.pw_gid, user};
}

Result<void> take_rights(const Rights& rights, bool core_dumps) {
  if (!rights.change) return {};
  if (initgroups(rights.user.c_str(), rights.gid) != 0)
    return Error{Errc::io, errno, fmt::format("initgroups {}", rights.user)};
  if (setgid(rights.gid) != 0) return Error{Errc::io, errno, fmt::format("setgid {}", rights.gid)};
  if (setuid(rights.uid) != 0) return Error{Errc::io, errno, fmt::format("setuid {}", rights.uid)};
  // Changing the user has set it to fs.suid_dumpable: 0, or 2, which no process of the user can make anything of, or 1.
  int now = prctl(PR_GET_DUMPABLE);
  bool wrong = core_dumps ? now != 1 : now == 1;
  if (wrong && prctl(PR_SET_DUMPABLE, core_dumps ? 1 : 0) != 0)
    return Error{Errc::io, errno, "prctl PR_SET_DUMPABLE"};
  return {};
}

void warn_about_rights(const std::string& user, const Rights& rights) {
  if (geteuid() == 0 && (!rights.change || rights.uid == 0))
    log_warn("workers run as root; set server.user to a user of their own");
  if (geteuid() != 0 && !user.empty()) {
    const passwd* me = getpwuid(geteuid());
    if (me == nullptr || user != me->pw_name)
      log_warn("server.user ignored user={} reason=\"not started as root\"; workers stay uid={}",
               user, geteuid());
  }
}

}  // namespace holdfast::master
