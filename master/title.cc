#include "master/title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace holdfast::master {

ProcessTitle::ProcessTitle(int argc, char** argv) {
  if (argc == 0) return;
  arguments_.assign(argv, argv + argc);
  begin_ = argv[0];
  char* end = begin_;
  for (int i = 0; i < argc; ++i)
    if (argv[i] == end) end += std::strlen(argv[i]) + 1;
  for (char** e = environ; *e != nullptr; ++e) {
    environment_.emplace_back(*e);
    if (*e == end) end += std::strlen(*e) + 1;
  }
  for (std::string& variable : environment_) pointers_.push_back(variable.data());
  pointers_.push_back(nullptr);
  environ = pointers_.data();
  bytes_ = size_t(end - begin_);
}

void ProcessTitle::set(std::string_view title, const std::string& short_name) {
  if (bytes_ > 0) {
    size_t n = std::min(title.size(), bytes_ - 1);
    std::memcpy(begin_, title.data(), n);
    std::memset(begin_ + n, 0, bytes_ - n);
  }
  prctl(PR_SET_NAME, short_name.c_str());  // cuts at 15 bytes, cannot fail for a valid pointer
}

}  // namespace holdfast::master
