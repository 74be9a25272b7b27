// ctl/watch.h - showing something again and again until the operator has seen enough.
//
// On a terminal every look replaces the one before, cut to the screen's height; elsewhere looks
// follow each other. Ctrl-C (SIGINT) and SIGTERM end the waiting, not the process, so that the last
// look is whole and the exit code is 0.
#pragma once

#include <signal.h>

#include <string>

#include "ctl/options.h"

namespace holdfast::ctl {

class Watch {
 public:
  // `once`: show() only prints; signals stay as they are.
  Watch(bool once, double interval_s, bool clear);
  ExitCode show(const std::string& text);
  // Waits for the interval; false: the operator has had enough.
  bool next();

 private:
  bool clear_;
  double interval_s_;
  bool first_ = true;
  sigset_t ending_{};
};

// The first `rows` - 1 lines of `text`, the last of them a note if lines are missing. rows 0: all.
std::string cut_to_height(const std::string& text, size_t rows);

}  // namespace holdfast::ctl
