// master/upgrade_check.h - asks a binary, in a child, whether it could be the next image of this
// master (takeover.h: check_takeover).
//
//   state     event                               -> state     action
//   idle      start, the binary can be executed   -> running   30 s
//   idle      start, it cannot                    -> idle      the error
//   running   it ended                            -> idle      verdict()
//   running   30 s                                -> running   SIGKILL
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "base/result.h"
#include "master/reap.h"
#include "master/takeover.h"

namespace holdfast::master {

class UpgradeCheck {
 public:
  static constexpr uint64_t kPatienceMs = 30'000;
  static constexpr size_t kMaxWords = 4 * 1024;  // of its output; the rest is left out

  explicit UpgradeCheck(Loop& loop) : loop_(loop) {}

  Result<void> start(const Image& image, const std::vector<std::string>& arguments,
                     const MasterRecord& record);
  bool running() const { return pid_ != 0; }
  // True: it was this child; verdict() has the result.
  bool on_exit(const Exit& exit);
  void check(uint64_t now_ms);
  void kill();

  struct Verdict {
    bool fit = false;
    std::string version;             // of the binary, if it is fit
    std::string why;                 // one line
    std::vector<std::string> words;  // its output, line by line
  };
  const Verdict& verdict() const { return verdict_; }
  void close_in_child() { words_.reset(); }

 private:
  void on_words(short);
  void read_words();

  Loop& loop_;
  pid_t pid_ = 0;
  bool overdue_ = false;
  uint64_t deadline_ms_ = 0;
  UniqueFd words_;  // before the event that watches it
  std::unique_ptr<IoEvent> readable_;
  std::string said_;
  Verdict verdict_;
};

}  // namespace holdfast::master
