// base/clock.h - the two clocks in use. Monotonic for deadlines, wall for what people and programs read.
#pragma once

#include <time.h>

#include <cstdint>

namespace holdfast {

namespace detail {
inline uint64_t clock_ns(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);  // cannot fail for these two ids
  return uint64_t(t.tv_sec) * 1'000'000'000u + uint64_t(t.tv_nsec);
}
}  // namespace detail

// CLOCK_MONOTONIC: the same in every process of the machine, so it may be compared across the segment.
inline uint64_t monotonic_ns() {
  return detail::clock_ns(CLOCK_MONOTONIC);
}
inline uint64_t monotonic_ms() {
  return monotonic_ns() / 1'000'000u;
}
// CLOCK_REALTIME, milliseconds since 1970.
inline uint64_t wall_ms() {
  return detail::clock_ns(CLOCK_REALTIME) / 1'000'000u;
}

}  // namespace holdfast
