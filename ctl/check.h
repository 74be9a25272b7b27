// ctl/check.h - `holdfastctl check FILE`: is this a configuration the server would start with?
#pragma once

#include <string>
#include <vector>

#include "conf/load.h"
#include "ctl/options.h"

namespace holdfast::ctl {

std::string problems_text(const std::string& file, const std::vector<conf::Problem>& problems);
std::string problems_json(const std::vector<conf::Problem>& problems);

// Asks no instance. The problems are the result, so they go to stdout.
ExitCode run_check(const Options& options);

}  // namespace holdfast::ctl
