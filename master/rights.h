// master/rights.h - who the workers are when the master is root.
//
// The master keeps its rights (it binds low ports at every reload); workers drop theirs before they
// see a client byte.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace holdfast::master {

struct Rights {
  bool change = false;  // false: workers stay who the master is
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user;
};

// Looks up server.user; "" or a master that is not root: no change. Errc::config: no such user.
Result<Rights> rights_for(const std::string& user);
// In a worker: becomes that user, for good. To the kernel one switch (PR_SET_DUMPABLE, ptrace(2)) decides whether other
// processes of that user may read its memory, where keys and tokens are, and whether it leaves a core when it dies: without
// `core_dumps` they cannot, and there is no core, unless fs.suid_dumpable is 2, and then for root alone.
// Errc::io if the kernel refuses.
Result<void> take_rights(const Rights& rights, bool core_dumps);
// Log lines about the consequences of the choice: root without a user, a user we cannot become.
void warn_about_rights(const std::string& user, const Rights& rights);

}  // namespace holdfast::master
