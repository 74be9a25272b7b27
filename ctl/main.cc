// ctl/main.cc - holdfastctl: from the command line to the one function that carries the command
// out.
#include <fcntl.h>
#include <unistd.h>

#include "ctl/check.h"
#include "ctl/control.h"
#include "ctl/counters.h"
#include "ctl/history.h"
#include "ctl/lists.h"
#include "ctl/options.h"
#include "ctl/push.h"
#include "ctl/session.h"
#include "ctl/sessions.h"
#include "ctl/stats.h"
#include "ctl/top.h"
#include "ctl/trace.h"
#include "ctl/workers.h"

namespace holdfast::ctl {
namespace {

ExitCode run(const Options& options) {
  switch (options.verb) {
    case Verb::stats:
      return run_stats(options);
    case Verb::workers:
      return run_workers(options);
    case Verb::top:
      return run_top(options);
    case Verb::sessions:
      return run_sessions(options);
    case Verb::session:
      return run_session(options);
    case Verb::users:
    case Verb::user:
    case Verb::channels:
    case Verb::channel:
      return run_list(options);
    case Verb::history:
      return run_history(options);
    case Verb::trace:
      return run_trace(options);
    case Verb::data:
      return options.action == DataAction::get ? run_get_data(options) : run_push(options);
    case Verb::send:
    case Verb::send_user:
    case Verb::send_all:
    case Verb::publish:
    case Verb::join:
    case Verb::leave:
    case Verb::bind:
    case Verb::unbind:
    case Verb::kick:
    case Verb::batch:
      return run_push(options);
    case Verb::reload:
    case Verb::upgrade:
    case Verb::stop:
    case Verb::reopen_logs:
      return run_control(options);
    case Verb::counters:
      return run_counters(options);
    case Verb::check:
      return run_check(options);
  }
  return kUsage;
}

// Whoever started us may have closed 0, 1 or 2. The next files opened would get these numbers, and
// what is printed would be written into them: into a socket, say. Read-only, so that it fails
// aloud.
bool standard_descriptors_open() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  return fd >= 0 && close(fd) == 0;
}

}  // namespace
}  // namespace holdfast::ctl

int main(int argc, char** argv) {
  using namespace holdfast::ctl;
  if (!standard_descriptors_open()) return kFailure;
  std::variant<Options, ExitCode> parsed = parse_options(argc, argv);
  if (ExitCode* code = std::get_if<ExitCode>(&parsed)) return *code;
  return run(std::get<Options>(parsed));
}
