// master/descriptor_limit.h - how many descriptors a process may have, against how many the
// configuration asks for.
#pragma once

#include <cstdint>

#include "conf/config.h"

namespace holdfast::master {

// Descriptors a worker needs beside client connections: doorbells, listeners, backend connections,
// logs, some air.
uint64_t reserved_descriptors(const conf::Config& config);
// Sessions that all workers can hold together with `limit` descriptors each.
uint64_t sessions_held(const conf::Config& config, uint64_t limit);

// Raises the limit as far as allowed (workers inherit it): soft to hard, and hard itself if
// max_sessions needs more and the kernel lets us. Logs one line that compares it with max_sessions,
// a warning if it does not suffice.
void raise_descriptor_limit(const conf::Config& config);

}  // namespace holdfast::master
