// worker/net/memory_refused.h - shared memory has no page left for something new: counted, and logged once a second.
#pragma once

#include <string_view>

#include "shm/stats.h"

namespace holdfast {

// `what` in the plural: "pushes".
void count_memory_refused(shm::StatsBlock& stats, std::string_view what);

}  // namespace holdfast
