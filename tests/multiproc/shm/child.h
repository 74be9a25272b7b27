// tests/multiproc/shm/child.h - other processes of a test, memory shared with them, and the seed.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/clock.h"
#include "tests/harness/wait.h"

namespace holdfast::test {

// Ends a child whose view is wrong; the parent sees it die of SIGABRT.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "child %d: not so: %s\n", int(getpid()), what);
  std::abort();
}

// Runs body() in a process of its own; what it returns is the exit status. Ends with its parent, at
// the latest with this object.
class Child {
 public:
  template <class Body>
  explicit Child(Body&& body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == -1) throw std::runtime_error("fork failed");
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int status = body();
    std::fflush(nullptr);
    _exit(status);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  pid_t pid() const { return pid_; }
  bool ended() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return status_.has_value();
  }
  // SIGKILL, if it still runs. True: that is what it died of.
  bool kill() {
    int status = 0;
    if (!ended()) {
      ::kill(pid_, SIGKILL);
      if (waitpid(pid_, &status, 0) == pid_) status_ = status;
    }
    return status_ && WIFSIGNALED(*status_) && WTERMSIG(*status_) == SIGKILL;
  }
  // The exit status; -1 if it does not end in time or dies of a signal.
  int exit_status() {
    if (!eventually([&] { return ended(); })) return -1;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1;
  }

 private:
  pid_t pid_;
  std::optional<int> status_;
};

// A T, zero at first, in memory that children forked later share.
template <class T>
class Shared {
 public:
  Shared() {
    void* at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    value_ = new (at) T();
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { munmap(value_, sizeof(T)); }
  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  T* value_;
};

// HF_TEST_SEED, or another one every time. Whoever uses it shows it with seed_note().
inline uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* set = std::getenv("HF_TEST_SEED");
    return set != nullptr ? std::strtoull(set, nullptr, 10) : std::random_device{}();
  }();
  return seed;
}
inline std::string seed_note() {
  return "HF_TEST_SEED=" + std::to_string(test_seed());
}

// Like eventually(), for what is a matter of microseconds: asks without a nap between.
template <class Condition>
bool soon(Condition&& condition) {
  uint64_t end = monotonic_ms() + uint64_t(timeout_ms());
  for (unsigned asked = 1; !condition(); ++asked) {
    if (asked % 1024 != 0) continue;
    if (monotonic_ms() > end) return false;
    sched_yield();
  }
  return true;
}

// Binds this process, and its later children until they bind themselves, to the nth of the
// processors it may use (counted modulo), as long as the object lives.
class OnProcessor {
 public:
  explicit OnProcessor(int nth) {
    sched_getaffinity(0, sizeof before_, &before_);
    nth %= CPU_COUNT(&before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &before_) && nth-- == 0) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  OnProcessor(const OnProcessor&) = delete;
  OnProcessor& operator=(const OnProcessor&) = delete;
  ~OnProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// Keeps asking `look` until a random instant at most `max_us` from now; at least once.
template <class Look>
void until_random_instant(std::mt19937_64& random, uint64_t max_us, Look&& look) {
  uint64_t end = monotonic_ns() + random() % (max_us * 1000);
  do look();
  while (monotonic_ns() < end);
}

inline std::string own_instance(const char* what) {
  return "mp-" + std::to_string(getpid()) + "-" + what;
}

}  // namespace holdfast::test
