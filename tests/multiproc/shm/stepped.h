// tests/multiproc/shm/stepped.h - another process, led through a call instruction by instruction.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <stdexcept>
#include <vector>

#include "tests/multiproc/shm/child.h"

namespace holdfast::test {

// Runs body() in a process of its own, that stands still wherever it is not told to go on. What it
// does must end by itself, and its result go to shared memory. Dies with this object.
class Stepped {
 public:
  template <class Body>
  explicit Stepped(Body&& body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == -1) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      *at_ = Place::inside;
      std::atomic_signal_fence(std::memory_order_seq_cst);
      body();
      std::atomic_signal_fence(std::memory_order_seq_cst);
      *at_ = Place::behind;
      _exit(0);
    }
    wait();
    while (*at_ == Place::before) go(PTRACE_SINGLESTEP);
  }
  Stepped(const Stepped&) = delete;
  Stepped& operator=(const Stepped&) = delete;
  ~Stepped() { kill(); }

  pid_t pid() const { return pid_; }
  // At most so many instructions of body(). False: it is through.
  bool step(unsigned instructions) {
    while (instructions-- > 0 && *at_ == Place::inside) go(PTRACE_SINGLESTEP);
    return *at_ == Place::inside;
  }
  // The rest of body(). False: it died.
  bool finish() {
    while (!gone_) go(PTRACE_CONT);
    return *at_ == Place::behind;
  }
  // SIGKILL, where it stands, and reaped.
  void kill() {
    if (gone_) return;
    ::kill(pid_, SIGKILL);
    while (!gone_) wait();
  }

 private:
  enum class Place : int { before, inside, behind };

  void go(__ptrace_request how) {
    if (gone_ || ptrace(how, pid_, nullptr, nullptr) != 0)
      throw std::runtime_error("the stepped process is gone");
    wait();
  }
  void wait() {
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) throw std::runtime_error("waitpid failed");
    gone_ = !WIFSTOPPED(status);
  }

  Shared<std::atomic<Place>> at_;
  pid_t pid_;
  bool gone_ = false;
};

// False where this machine does not let one process trace another: then nothing here can be done.
inline bool may_step() {
  pid_t pid = fork();
  if (pid == -1) throw std::runtime_error("fork failed");
  if (pid == 0) _exit(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) throw std::runtime_error("waitpid failed");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// How many instructions a call takes: `make` gives a Stepped that has not gone on yet.
template <class Make>
unsigned instructions_of(Make&& make) {
  auto process = make();
  unsigned count = 0;
  while (process->step(1)) ++count;
  return count;
}

// At most `most` of the numbers 0 to count, evenly spread, with both ends.
inline std::vector<unsigned> spread(unsigned count, unsigned most, std::mt19937_64& random) {
  unsigned stride = std::max(1u, count / most);
  std::vector<unsigned> points{0};
  for (unsigned at = 1 + unsigned(random() % stride); at < count; at += stride)
    points.push_back(at);
  points.push_back(count);
  return points;
}

}  // namespace holdfast::test
