// ctl/main.cc - holdfastctl: from the command line to the one function that carries the command
// out.
#include "ctl/check.h"
#include "ctl/control.h"
#include "ctl/options.h"
#include "ctl/push.h"
#include "ctl/sessions.h"
#include "ctl/stats.h"
#include "ctl/workers.h"

namespace holdfast::ctl {
namespace {

ExitCode run(const Options& options) {
  switch (options.verb) {
    case Verb::stats:
      return run_stats(options);
    case Verb::workers:
      return run_workers(options);
    case Verb::sessions:
      return run_sessions(options);
    case Verb::session:
      return run_session(options);
    case Verb::channels:
    case Verb::send:
    case Verb::publish:
    case Verb::kick:
    case Verb::join:
    case Verb::leave:
      return run_push(options);
    case Verb::reload:
    case Verb::stop:
    case Verb::reopen_logs:
      return run_control(options);
    case Verb::check:
      return run_check(options);
  }
  return kUsage;
}

}  // namespace
}  // namespace holdfast::ctl

int main(int argc, char** argv) {
  using namespace holdfast::ctl;
  std::variant<Options, ExitCode> parsed = parse_options(argc, argv);
  if (ExitCode* code = std::get_if<ExitCode>(&parsed)) return *code;
  return run(std::get<Options>(parsed));
}
