// master/takeover.h - one image of the master becomes another: the same process with other code.
//
// execve(2) keeps the pid, the children, signals that wait, every descriptor without FD_CLOEXEC,
// and fcntl's locks as long as no descriptor of a locked file is closed on the way. Everything else
// travels as a MasterRecord in a memfd, whose number the environment names:
//
//   HOLDFAST_TAKEOVER=FD          be the next image
//   HOLDFAST_TAKEOVER_CHECK=1     only report whether you could be (in a child): see check_takeover()
//   HOLDFAST_TAKEOVER_WHY=TEXT    with it: you come back, because the next image could not go on
//
// Signals are blocked from before the old image lets go until the new one has its handlers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "master/master_record.h"

namespace holdfast::master {

class ProcessTitle;

// The file to execute: a path, or an open file (the path is for the log then).
struct Image {
  std::string path;
  int fd = -1;
};

// The path under which a later version of this binary will be found: argv[0], made absolute, if it
// names a file; else the place of this process's binary when it started.
std::string image_path_of(const std::vector<std::string>& arguments);

// The record as a file that a next image can read.
Result<UniqueFd> write_record(const MasterRecord& record);
Result<MasterRecord> read_record(int fd);

// Environment of a next image, "NAME=VALUE" each: ours without the three names above, and these.
std::vector<std::string> environment_with(const std::vector<std::string>& more);

// Becomes the image; returns only if that was not possible, and nothing has changed then but that
// signals are blocked. `why` is empty on the way forward.
Error become(const Image& image, const std::vector<std::string>& arguments,
             const MasterRecord& record, const std::string& why);

// The order that a process got from the image before it; empty for an ordinary start.
struct TakeoverOrder {
  int record = -1;
  bool check = false;
  std::string why;
};
std::optional<TakeoverOrder> takeover_order();  // takes the names out of the environment

// The child's part of a check: could this binary take over? Loads the record and the
// configurations, looks at the segment. Prints the features that it knows (kCheckKeyed), kCheckPassed and its version, exit
// status 0; or the problem, 1.
inline constexpr const char* kCheckPassed = "takeover possible by holdfastd ";
// The segment's key is used for hashes of names: older versions neither know nor print this.
inline constexpr const char* kCheckKeyed = "names are hashed with the segment's key";
int check_takeover(int record_fd);

// Closes all that the former image left open and did not name (its log).
void close_unnamed(const MasterRecord& record, int record_fd);

void block_signals();
void unblock_signals();

// The way back to the former image, as long as nothing in its record has changed: a
// crash of this process (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) executes the former image, with
// the record that we were given. One at a time.
class WayBack {
 public:
  WayBack(const MasterRecord& record, UniqueFd record_file, std::vector<std::string> arguments);
  WayBack(const WayBack&) = delete;
  WayBack& operator=(const WayBack&) = delete;
  ~WayBack();

  // The record is not true any more: a crash is a crash from here on.
  void disarm();
  // Nothing has changed yet: executes it with the record that we were given. Returns only if that
  // was not possible: exit status 1, the log says why.
  int go(const std::string& why);
  const Image& image() const { return image_; }
  void close_in_child();  // in a worker

 private:
  Image image_;
  UniqueFd record_file_;
};

}  // namespace holdfast::master
