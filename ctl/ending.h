// ctl/ending.h - Ctrl-C (SIGINT) and SIGTERM as an event: they end the waiting of a command that
// runs until the operator has seen enough, not the process, so that its last line is whole and its
// exit code is 0.
#pragma once

#include <cstdint>

#include "base/fd.h"

namespace holdfast::ctl {

class Ending {
 public:
  // From here on the two signals do nothing but end a wait(). If the kernel has no descriptor left
  // for that, they keep their usual effect.
  Ending();

  enum class Woke : uint8_t { ready, timeout, ended };
  // Until `fd` can be read (-1: only the time), `ms` have passed, or the operator has had enough.
  Woke wait(int fd, uint64_t ms) const;

 private:
  UniqueFd signals_;
};

}  // namespace holdfast::ctl
