// worker/fcgi/stderr_log.h - what the application writes to its error stream, as lines of our log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/stats.h"

namespace holdfast::fcgi {

// Lets through at most kLinesPerSecond of a backend; says how many it kept back.
class StderrLog {
 public:
  static constexpr unsigned kLinesPerSecond = 20;
  static constexpr size_t kMaxLineBytes = 1024;  // the rest of a longer line is left out

  StderrLog(std::string backend, shm::StatsBlock& stats)
      : backend_(std::move(backend)), stats_(stats) {}

  // `partial` is the request's own: the line that has no end yet.
  void write(std::string& partial, std::string_view bytes, std::string_view session);
  // The request has ended: so has its last line.
  void finish(std::string& partial, std::string_view session);

 private:
  void line(std::string_view text, std::string_view session);
  bool may_speak();

  std::string backend_;
  shm::StatsBlock& stats_;
  uint64_t second_began_ms_ = 0;
  unsigned lines_ = 0;  // in this second
  uint64_t kept_back_ = 0;
};

}  // namespace holdfast::fcgi
