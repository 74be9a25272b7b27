// worker/life/control_words.h - the worker's end of its control channel (worker.h has the words).
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace holdfast {

struct ControlWords {
  std::string text;  // one byte a word
  UniqueFd fd;       // came with kHandOver or kTakeOver
};

// What has come, possibly nothing. False: the master is gone.
bool read_control_words(int control, ControlWords* words);
// To the master; a master that is gone shows at the next read.
void say(int control, char word);
// A standby's life: until the master gives it the slot's other process, or says that it is not needed (Errc::gone).
// Reopens the log when told so. Blocks.
Result<UniqueFd> wait_for_takeover(int control);
// Ends this process without running a destructor: what it has in memory speaks of a slot that is another's.
[[noreturn]] void leave(int status);

}  // namespace holdfast
