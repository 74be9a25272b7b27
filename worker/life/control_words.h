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

// The words that have come, possibly none. False: the master is gone.
bool read_control_words(int control, ControlWords* words);
// To the master; a master that is gone shows at the next read.
void say(int control, char word);
// A standby's life: until the master connects it with the slot's other process, or does not need it (Errc::gone).
// Reopens the log on that word. Blocks.
Result<UniqueFd> wait_for_takeover(int control);
// Ends this process without running a destructor: its memory describes a slot that is another's.
[[noreturn]] void leave(int status);

}  // namespace holdfast
