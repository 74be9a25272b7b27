#include "tests/harness/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "tests/harness/wait.h"

namespace holdfast::test {
namespace {

int exit_status(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

pid_t spawn(const std::vector<std::string>& command, int in, int out) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid != 0) return pid;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nothing behind
  if (getppid() != parent) _exit(127);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execvp(arguments[0], arguments.data());
  std::perror(arguments[0]);
  _exit(127);
}

}  // namespace

Finished run(const std::vector<std::string>& command, const std::string& input) {
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return {};
  pid_t pid = spawn(command, to[0], from[1]);
  close(to[0]);
  close(from[1]);
  UniqueFd in(to[1]), out(from[0]);
  // Inputs of tests are shorter than a pipe's buffer.
  if (!input.empty() && write(in.get(), input.data(), input.size()) != ssize_t(input.size()))
    return {};
  in.reset();
  Finished done;
  uint64_t end = monotonic_ms() + uint64_t(3 * timeout_ms());
  char buffer[65536];
  for (;;) {
    pollfd wait{out.get(), POLLIN, 0};
    if (poll(&wait, 1, 100) == 1) {
      ssize_t got = read(out.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      done.output.append(buffer, size_t(got));
    }
    if (monotonic_ms() > end) {
      kill(-pid, SIGKILL);
      break;
    }
  }
  int raw = 0;
  waitpid(pid, &raw, 0);
  done.status = exit_status(raw);
  return done;
}

Process::Process(const std::vector<std::string>& command, const std::string& output_file) {
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd out(open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  pid_ = spawn(command, null.get(), out.get());
}

Process::Process(Process&& other) noexcept {
  *this = std::move(other);
}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(status_, other.status_);
  std::swap(ended_, other.ended_);
  return *this;
}

Process::~Process() {
  if (pid_ <= 0) return;
  kill(-pid_, SIGKILL);  // also what its children left
  if (!ended_) waitpid(pid_, nullptr, 0);
}

bool Process::running() {
  if (pid_ <= 0 || ended_) return false;
  int raw = 0;
  if (waitpid(pid_, &raw, WNOHANG) != pid_) return true;
  ended_ = true;
  status_ = exit_status(raw);
  return false;
}

void Process::signal(int number) {
  if (pid_ > 0 && !ended_) kill(pid_, number);
}

int Process::wait_for_end(int ms) {
  return eventually([&] { return !running(); }, ms) ? status_ : -1;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/hf-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  if (testing::Test::HasFailure()) {
    std::printf("kept for you: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;  // what cannot be removed from a temporary directory may stay
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace holdfast::test
