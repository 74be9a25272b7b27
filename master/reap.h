// master/reap.h - collects dead children and says how they ended.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace holdfast::master {

struct Exit {
  pid_t pid;
  int status;                // of waitpid(2)
  bool clean() const;        // exit status 0
  std::string text() const;  // "status=3", "signal=11 (Segmentation fault) core=yes"
};

// The next dead child, or empty when there is none now. Called until empty: one SIGCHLD may stand
// for many.
std::optional<Exit> reap_one();

}  // namespace holdfast::master
