// ctl/stats.h - `holdfastctl stats`: the table of counters, once or again and again.
//
// --json has the members of the API's /v1/stats that concern the instance (counters, gauges,
// histograms), so that one program reads both, and `master` besides. With --watch it is one such
// line for each look, with `rates`.
#pragma once

#include <string>

#include "ctl/options.h"
#include "ctl/screen.h"
#include "ctl/snapshot.h"

namespace holdfast::ctl {

struct StatsStyle {
  Style screen;
  bool hide_zeros = false;
};

// `before` of the same life adds rates (and limits the histograms to the time since); nullptr:
// totals only.
std::string stats_text(const Snapshot& now, const Snapshot* before, const StatsStyle& style);
std::string stats_json(const Snapshot& now, const Snapshot* before);
// "instance ... version ...", and another line if the master is dead.
std::string instance_lines(const Snapshot& now, bool colour);

ExitCode run_stats(const Options& options);

}  // namespace holdfast::ctl
