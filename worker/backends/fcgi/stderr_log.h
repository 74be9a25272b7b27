// worker/backends/fcgi/stderr_log.h - the application's error stream, as lines of our log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/stats.h"

namespace holdfast::fcgi {

// Statements of php-fpm itself about an answer (fpm_main.c, main.c of PHP): bits.
enum Said : uint8_t {
  kSaidNotRun = 1,    // it ran no script: unknown, not readable, or not allowed
  kSaidBrokeOff = 2,  // the script broke off: a fatal error
};

// Lets through at most kLinesPerSecond of a backend; logs how many it kept back.
class StderrLog {
 public:
  static constexpr unsigned kLinesPerSecond = 20;
  static constexpr size_t kMaxLineBytes = 1024;  // the rest of a longer line is left out

  StderrLog(std::string backend, shm::StatsBlock& stats)
      : backend_(std::move(backend)), stats_(stats) {}

  // `partial` is the request's own: the line that has no end yet.
  // Returns the bits of its statements.
  uint8_t write(std::string& partial, std::string_view bytes, std::string_view session);
  // The request has ended: so has its last line.
  uint8_t finish(std::string& partial, std::string_view session);

 private:
  uint8_t line(std::string_view text, std::string_view session);
  bool may_speak();

  std::string backend_;
  shm::StatsBlock& stats_;
  uint64_t second_began_ms_ = 0;
  unsigned lines_ = 0;  // in this second
  uint64_t kept_back_ = 0;
};

}  // namespace holdfast::fcgi
