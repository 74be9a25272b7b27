// ctl/instance.h - which instance the operator means, and how a failure is reported.
#pragma once

#include <string>
#include <string_view>

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
std::string api_socket(const shm::Segment& segment);

// Reports an error and returns its exit code: on stderr, or with --json as one line of stdout, which
// then is all there is.
ExitCode fail(const Options& options, const Error& error);
// The same for an Error of find_instance(): kNoInstance if there is none.
ExitCode fail_to_find(const Options& options, const Error& error);
// One line on stderr, about something that is no failure of the command.
void note(std::string_view text);
// {"error":{"code":"...","message":"..."}}, as the API has it.
std::string error_json(std::string_view code, std::string_view message);
std::string_view code_of(const Error& error);

// Writes to stdout. kFailure, reported on stderr, if it does not take it all.
ExitCode print(std::string_view text);

}  // namespace holdfast::ctl
