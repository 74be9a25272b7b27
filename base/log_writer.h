// base/log_writer.h - writes lines to a descriptor and never waits for its reader.
//
// A log that nobody reads must not stop a server: a line that cannot be written at once is dropped and counted. Of a
// line that was begun the rest is kept and goes first, so that no line is torn.
//
// stderr is shared with the program that started us, so O_NONBLOCK may not be set on it. By its type:
//   pipe, terminal   opened anew through /proc, without waiting; that is a description of our own. If that is forbidden:
//                    RWF_NOWAIT (preadv2(2)), or poll(2) and at most PIPE_BUF bytes, for which there is room then
//   socket           MSG_DONTWAIT
//   file, device     written to as it is: a full disk is an error and no wait
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace holdfast {

class LogWriter {
 public:
  // To the stderr of the moment when a line comes.
  static LogWriter to_stderr() { return LogWriter(UniqueFd()); }
  // To a file, for appending. A FIFO that nobody has open for reading cannot be opened.
  static Result<LogWriter> to_file(const std::string& path);

  // The line ends in a line break. False: dropped.
  bool write(std::string_view line);
  // The rest of a line that was begun goes now, as far as it can. True: nothing is left.
  bool flush();

 private:
  enum class Way : uint8_t { plain, own, socket, carefully };
  explicit LogWriter(UniqueFd file) : file_(std::move(file)), is_file_(bool(file_)) {}
  void look_at_stderr();
  // How much was written; -1: an error, or nobody would have read it.
  ssize_t put(std::string_view bytes) const;

  UniqueFd file_;  // the target, or our own description of stderr
  bool is_file_;
  Way way_ = Way::plain;
  dev_t device_ = 0;  // which stderr that was
  ino_t inode_ = 0;
  std::string rest_;
};

}  // namespace holdfast
