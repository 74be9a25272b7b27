// base/random.h - bytes that nobody can guess, from getrandom(2).
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstddef>

#include "base/check.h"

namespace holdfast {

// Fills all of it. getrandom(2) with flags 0 gives up to 256 bytes without interruption once the pool is
// initialised; callers ask for less.
inline void fill_random(void* out, size_t bytes) {
  HF_CHECK(bytes <= 256);
  ssize_t got;
  do {
    got = getrandom(out, bytes, 0);
  } while (got == -1 && errno == EINTR);
  HF_CHECK(got == ssize_t(bytes));
}

}  // namespace holdfast
