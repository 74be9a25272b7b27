// base/log_guard.h - what keeps a log that nobody reads from holding anybody up (log_writer.h).
//
// A line that cannot be written at once is dropped and counted, and the number is said in a line of its own as soon as one
// can be written again.
#pragma once

#include <cstdint>

namespace holdfast {

// From time to time: writes what was kept back, and says how many lines were dropped. How many have been since the last call.
uint64_t log_catch_up();
// What others print to the C library's stderr (HF_CHECK, libraries) is not waited for either, from now on.
void guard_stderr();

}  // namespace holdfast
