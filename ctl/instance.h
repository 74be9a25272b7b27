// ctl/instance.h - which instance the operator means, and where it keeps its sockets.
#pragma once

#include <string>

#include "base/result.h"
#include "ctl/options.h"
#include "shm/segment.h"

namespace holdfast::ctl {

// The name given by -i, or read from the configuration given by -c. Errc::config with all its
// problems.
Result<std::string> instance_name(const Options& options);
// Maps the instance's segment, read-only. Errc::gone: there is none of that name.
Result<shm::Segment> find_instance(const Options& options);

// Text of a NUL-ended field of the segment that another process wrote: never trusted to end.
std::string field_text(const char* field, size_t size);
// RUNTIME_DIR/NAME of the instance.
std::string socket_path(const shm::Segment& segment, const std::string& name);

// Tells stderr what went wrong and returns the exit code that goes with it.
ExitCode fail(const Error& error);
// The same for an Error of find_instance(): kNoInstance where there is none.
ExitCode fail_to_find(const Error& error);
// Writes to stdout. kFailure, told on stderr, if it does not take it all.
ExitCode print(const std::string& text);
// Is stdout a terminal that shows colours (NO_COLOR and TERM=dumb are respected)?
bool colour_wanted();

}  // namespace holdfast::ctl
