// tests/harness/fpm.h - a real php-fpm as a private process of one test: own pool, unix socket, static children.
#pragma once

#include <string>

#include "tests/harness/process.h"

namespace holdfast::test {

class Fpm {
 public:
  // `script`: the PHP of gateway.php, with or without the opening tag.
  Fpm(const std::string& script, unsigned children = 4);
  ~Fpm();

  void start();
  void stop();  // TERM, waits
  void kill_hard();
  std::string socket() const { return dir_ / "fpm.sock"; }
  std::string script() const { return dir_ / "gateway.php"; }
  // A file the script may append to: `file_put_contents(LOGFILE, ..., FILE_APPEND | LOCK_EX)`.
  std::string log_file() const { return dir_ / "app.log"; }
  std::string app_log() const { return read_file(log_file()); }
  std::string fpm_log() const { return read_file(dir_ / "fpm.log"); }
  pid_t pid() const { return process_.pid(); }
  // [backend.app] for it, with further lines.
  std::string backend(const std::string& more = {}, unsigned max_connections = 4) const;

 private:
  TempDir dir_;
  Process process_;
};

}  // namespace holdfast::test
