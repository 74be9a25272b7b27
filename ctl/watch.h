// ctl/watch.h - shows something again and again until the operator has seen enough.
//
// On a terminal every look replaces the one before, cut to the screen's height; elsewhere looks
// follow each other. How it ends: ending.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ctl/ending.h"
#include "ctl/options.h"

namespace holdfast::ctl {

class Watch {
 public:
  // `once`: show() only prints; signals stay as they are.
  Watch(bool once, uint64_t interval_ms, bool clear);
  ExitCode show(const std::string& text);
  // Waits for the interval; false: the operator has had enough.
  bool next();

 private:
  bool clear_;
  uint64_t interval_ms_;
  bool first_ = true;
  std::optional<Ending> ending_;  // empty: once
};

// The first `rows` - 1 lines of `text`, the last of them a note if lines are missing. rows 0: all.
std::string cut_to_height(const std::string& text, size_t rows);

}  // namespace holdfast::ctl
