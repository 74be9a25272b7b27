// bench/load/main.cc - holdfast-bench: measures, reports, and fails if anything was lost, doubled
// or out of order.
#include <fmt/format.h>

#include <cstdio>

#include "bench/load/driver.h"
#include "bench/load/report.h"

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  std::variant<Options, ExitCode> parsed = parse_options(argc, argv);
  if (ExitCode* code = std::get_if<ExitCode>(&parsed)) return *code;
  const Options& options = std::get<Options>(parsed);
  holdfast::Result<Measured> measured = measure(options);
  if (!measured) {
    fmt::print(stderr, "holdfast-bench: {}\n", measured.error().text());
    return kFailure;
  }
  std::string report =
      options.json ? report_json(options, *measured) : report_text(options, *measured);
  bool told = std::fwrite(report.data(), 1, report.size(), stdout) == report.size() &&
              std::fflush(stdout) == 0;
  return told && measured->good(options) ? kOk : kFailure;
}
