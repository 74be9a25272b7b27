// base/check.h - HF_CHECK: our own bugs end the process visibly, in every build.
//
// Never use it on bytes from outside, from the configuration or from another process's memory.
#pragma once

#include <cstdio>
#include <cstdlib>

#define HF_CHECK(condition)                                                              \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (0)
