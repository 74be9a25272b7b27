// master/removed_file.h - a name in the runtime directory that goes with its owner, however the
// start ends.
//
// A killed master leaves it behind; the next one replaces it.
#pragma once

#include <unistd.h>

#include <string>
#include <utility>

namespace holdfast::master {

class RemovedFile {
 public:
  explicit RemovedFile(std::string path) : path_(std::move(path)) {}
  RemovedFile(RemovedFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  RemovedFile& operator=(RemovedFile&&) = delete;
  ~RemovedFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }

 private:
  std::string path_;
};

}  // namespace holdfast::master
