// master/logs.h - the log file as something that master and workers of another user both append to.
#pragma once

#include "base/result.h"
#include "master/generation.h"

namespace holdfast::master {

// Can the target be opened? Checked before a reload goes on; makes the file if it is missing.
Result<void> check_log_target(const LogSettings& settings);
// Opens it for the master, and gives the file to the user of the workers, who reopen it by name
// after a rotation.
Result<void> open_master_log(const Generation& generation);
Result<void> reopen_master_log(const Generation& generation);

}  // namespace holdfast::master
