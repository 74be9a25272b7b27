// holdfastd: reads its arguments and a configuration, then becomes the master.
//
// Exit status: 0 done, or a clean stop; 1 the configuration has problems, or the server could not
// start or stop cleanly; 2 the arguments make no sense.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "conf/load.h"
#include "master/master.h"
#include "master/memory_room.h"
#include "shm/layout.h"
#include "worker/worker.h"

namespace {

struct Arguments {
  std::string file;
  bool test = false;
  bool version = false;
  bool print = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("-c,--config", arguments.file, "configuration file")->type_name("FILE");
  app.add_flag("-t,--test", arguments.test, "check the configuration and exit");
  app.add_flag("-V,--version", arguments.version, "print version and build, and exit");
  app.add_flag("--print-config", arguments.print,
               "print the effective configuration, with defaults, and exit");
}

int print_version() {
  std::printf("holdfastd %s (segment layout %u, compiler %s)\n", HOLDFAST_VERSION,
              holdfast::shm::kLayoutVersion, __VERSION__);
  return 0;
}

int print_problems(const holdfast::conf::Loaded& loaded) {
  for (const holdfast::conf::Problem& problem : loaded.problems)
    std::fprintf(stderr, "%s\n", problem.text().c_str());
  return 1;
}

int carry_out(const Arguments& arguments, holdfast::master::ProcessTitle& title) {
  holdfast::conf::Loaded loaded =
      holdfast::conf::load_file(arguments.file, holdfast::conf::Machine::ours);
  if (!loaded) return print_problems(loaded);
  if (arguments.print) {
    std::fputs(holdfast::conf::print_config(loaded.config).c_str(), stdout);
    return 0;
  }
  if (arguments.test) {
    std::printf("%s: the configuration is fine\n", arguments.file.c_str());
    std::string warning = holdfast::master::memory_warning(loaded.config);
    if (!warning.empty()) std::fprintf(stderr, "warning: %s\n", warning.c_str());
    return 0;
  }
  return holdfast::master::master_main(std::move(loaded.config), title, holdfast::worker_main);
}

// Whoever started us may have closed 0, 1 or 2. The next files opened would get these numbers, and log lines would be
// written into them: the pid file, the segment.
bool standard_descriptors_open() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  return fd >= 0 && close(fd) == 0;
}

}  // namespace

// The exceptions left are bad_alloc and CLI11's own mistakes; both end the process, which is what they should do.
int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape)
  if (!standard_descriptors_open()) return 1;
  if (auto order = holdfast::master::takeover_order()) {
    if (order->check) return holdfast::master::check_takeover(order->record);
    holdfast::master::ProcessTitle title(argc, argv);
    return holdfast::master::takeover_main(*order, title, holdfast::worker_main);
  }
  Arguments arguments;
  CLI::App app("Holdfast, a push gateway for long-lived client connections.", "holdfastd");
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (arguments.version) return print_version();
  if (arguments.file.empty()) {
    std::fputs("holdfastd: -c FILE is required; --help shows the rest\n", stderr);
    return 2;
  }
  holdfast::master::ProcessTitle title(argc, argv);
  return carry_out(arguments, title);
}
