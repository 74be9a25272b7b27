// base/log_guard.h - keeps a log that nobody reads from holding anybody up (log_writer.h).
//
// A line that cannot be written at once is dropped and counted, and the number is reported in a line of its own as soon as
// one can be written again.
#pragma once

#include <cstdint>

namespace holdfast {

// To be called from time to time: writes the rest that was kept back, and logs how many lines were dropped. The answer: how
// many have been dropped since the last call.
uint64_t log_catch_up();
// Output of others to the C library's stderr (HF_CHECK, libraries) is not waited for either, from now on.
void guard_stderr();

}  // namespace holdfast
