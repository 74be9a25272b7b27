// master/runtime_dir.h - the directory of the pid file, the sockets and the list of listeners.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::master {

// Makes it if missing (0755 as root, 0700 otherwise; parents too). An existing one must be a
// directory of ours that not everybody may write to: the default below /tmp has a name that others
// can guess.
Result<void> prepare_runtime_dir(const std::string& path);

// Writes the file whole or not at all: readers see the old or the new text.
Result<void> write_whole_file(const std::string& path, const std::string& text);

}  // namespace holdfast::master
