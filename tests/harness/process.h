// tests/harness/process.h - child processes of a test, each in a process group of its own, gone when the test ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace holdfast::test {

struct Finished {
  int status = -1;     // exit status, or 128 + signal
  std::string output;  // stdout and stderr
};

// Runs to the end (bounded by the test timeout, then killed: status 137).
Finished run(const std::vector<std::string>& command, const std::string& input = {});

// Runs in the background; output goes to a file. It dies with the thread that starts it (prctl(2), PR_SET_PDEATHSIG).
class Process {
 public:
  Process() = default;
  Process(const std::vector<std::string>& command, const std::string& output_file);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // kills the whole group

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // Exit status (128 + signal), or -1 if it did not end in time.
  int wait_for_end(int ms);

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  bool ended_ = false;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);

// A fresh directory under $TMPDIR or /tmp; removed unless the current test failed (then its path is printed).
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace holdfast::test
