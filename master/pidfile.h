// master/pidfile.h - RUNTIME_DIR/holdfastd.pid, and the lock that keeps a second master out of a
// runtime directory.
//
// The lock is fcntl's: it dies with the master, however it dies, and children do not inherit it. A
// file left over by a killed master is taken over.
//
// Invariants
//   I1  Only the holder writes or removes the file.
//   I2  Nobody but its owner may open it (mode 0600), for a user that can read a file can put a lock on it that no master gets
//       past. A read lock, which no master takes, may still lie on a file that a version before this rule left: that file is
//       replaced.
//       (Two masters that do so at once are kept apart by the segment's lock.)
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace holdfast::master {

class PidFile {
 public:
  // Errc::busy with the holder's pid in the text while another process holds it.
  static Result<PidFile> take(const std::string& path);
  // The file that the former image of this process has taken: the lock survives execve(2).
  static PidFile adopt(const std::string& path, int fd);

  PidFile(PidFile&&) = default;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();  // removes the file, then lets go of the lock
  int fd() const { return fd_.get(); }
  // In a worker: the master's file stays.
  void close_in_child();

 private:
  PidFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
};

}  // namespace holdfast::master
