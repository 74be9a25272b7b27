// bench/load/report.h - what was measured, for people and for programs.
#pragma once

#include <string>

#include "bench/load/driver.h"

namespace holdfast::bench {

std::string report_text(const Options& options, const Measured& measured);
// One line of JSON. Members that do not apply are left out.
std::string report_json(const Options& options, const Measured& measured);

// Derived numbers; 0 where there is nothing to divide by.
double cpu_us_per_message(const Options& options, const Measured& measured);
double cpu_us_per_resume(const Measured& measured);  // from the cut on, with it
double bytes_per_connection(const Options& options, const Measured& measured);

}  // namespace holdfast::bench
