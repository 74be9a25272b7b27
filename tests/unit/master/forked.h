// tests/unit/master/forked.h - a piece of a test in a process of its own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <optional>

#include "tests/harness/wait.h"

namespace holdfast::test {

// Runs `body` in a child; its result is the exit status. A child still there at the end of the test
// is killed.
class Forked {
 public:
  explicit Forked(const std::function<int()>& body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    int status = body();
    std::fflush(nullptr);
    _exit(status);
  }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  ~Forked() {
    if (ended()) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  void signal(int number) const { EXPECT_EQ(kill(pid_, number), 0); }
  bool ended() {
    if (!status_) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    }
    return status_.has_value();
  }
  // The exit status, once it has ended; -1: it did not, or died of a signal.
  int exit_status() {
    if (!eventually([&] { return ended(); })) return -1;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1;
  }

 private:
  pid_t pid_;
  std::optional<int> status_;
};

}  // namespace holdfast::test
