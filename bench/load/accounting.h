// bench/load/accounting.h - what a process and all its descendants have used, from /proc.
//
// CPU counts what ended children had used too, so a worker that is replaced in between is not
// forgotten. Memory is proportional set size: pages of the shared segment are counted once, split
// over the processes that map them. What connections cost is read from data_bytes: the share of
// libraries falls whenever another program maps them too.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace holdfast::bench {

struct Usage {
  double cpu_s = 0;         // user and system
  double user_s = 0;        // of it
  uint64_t pss_bytes = 0;   // all
  uint64_t data_bytes = 0;  // of it what is no file: heap, stacks and the shared segment
  unsigned processes = 0;
};

// Of `root` and its descendants. Errc::gone: there is no such process; Errc::io: its memory may not
// be read.
Result<Usage> usage_of_tree(pid_t root);

// One line of /proc/PID/stat, as far as it matters. False: not such a line.
struct ProcStat {
  pid_t parent = 0;
  uint64_t cpu_ticks = 0;   // utime + stime + cutime + cstime
  uint64_t user_ticks = 0;  // utime + cutime
};
bool parse_proc_stat(std::string_view line, ProcStat* stat);
// A line of smaps_rollup ("Pss", "Pss_Anon") in bytes; 0 without.
uint64_t parse_rollup(std::string_view smaps_rollup, std::string_view name);

}  // namespace holdfast::bench
