#include "tests/harness/fpm.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "tests/harness/clients.h"
#include "tests/harness/wait.h"

namespace holdfast::test {

Fpm::Fpm(const std::string& script, unsigned children) {
  chmod(dir_.path().c_str(), 0755);
  write_file(this->script(), "<?php const LOGFILE = '" + log_file() + "';\n" + script);
  write_file(log_file(), "");
  write_file(dir_ / "fpm.conf",
             "[global]\nerror_log = " + (dir_ / "fpm.log") +
                 "\ndaemonize = no\n[app]\nlisten = " + socket() +
                 "\nlisten.backlog = 1024\nlisten.mode = 0666\npm = static\npm.max_children = " +
                 std::to_string(children) + "\ncatch_workers_output = yes\n" +
                 (geteuid() == 0 ? "user = root\ngroup = root\n" : "") +
                 "php_admin_value[display_errors] = 0\nphp_admin_value[log_errors] = 1\n");
  start();
}

Fpm::~Fpm() = default;

void Fpm::start() {
  process_ =
      Process({"php-fpm8.2", "-n", "-F", "-O", "-R", "-y", dir_ / "fpm.conf"}, dir_ / "fpm.out");
  bool up = eventually([&] {
    if (access(socket().c_str(), F_OK) != 0) return !process_.running();
    try {
      connect_to("unix:" + socket());
      return true;
    } catch (const std::runtime_error&) {
      return !process_.running();
    }
  });
  if (!up || !process_.running())
    throw std::runtime_error("php-fpm did not start: " + read_file(dir_ / "fpm.out"));
}

void Fpm::stop() {
  process_.signal(SIGTERM);
  if (process_.wait_for_end(timeout_ms()) == -1) throw std::runtime_error("php-fpm did not stop");
}

void Fpm::kill_hard() {
  process_ = Process();
  unlink(
      socket()
          .c_str());  // its children may take a moment more to die, and would still be connected to
}

std::string Fpm::backend(const std::string& more, unsigned max_connections) const {
  return "[backend.app]\nkind = \"fastcgi\"\nservers = [{ address = \"unix:" + socket() +
         "\" }]\nscript_filename = \"" + script() +
         "\"\nmax_connections = " + std::to_string(max_connections) + "\n" + more + "\n";
}

}  // namespace holdfast::test
