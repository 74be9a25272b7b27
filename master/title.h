// master/title.h - the title that ps and top show: "holdfastd: worker 0 [demo]".
//
// The kernel shows the bytes where argv was put at exec, so the title is written over them. The
// environment lies right after them; it is copied away first, so that a long title has room. One
// object, made by main() before anything else keeps pointers into argv or environ; children inherit
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::master {

class ProcessTitle {
 public:
  ProcessTitle(int argc, char** argv);
  ProcessTitle(const ProcessTitle&) = delete;
  ProcessTitle& operator=(const ProcessTitle&) = delete;

  // As they were given, for executing us again.
  const std::vector<std::string>& arguments() const { return arguments_; }
  // `title` for ps; `short_name` (at most 15 bytes) for top and /proc/PID/comm. A longer title is
  // cut.
  void set(std::string_view title, const std::string& short_name);

 private:
  char* begin_ = nullptr;
  size_t bytes_ = 0;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;  // what environ points to from now on
  std::vector<char*> pointers_;
};

}  // namespace holdfast::master
