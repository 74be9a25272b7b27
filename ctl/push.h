// ctl/push.h - the commands that send or change: one POST to the API at the instance's own socket.
//
// Exit code 0 means that everything asked for was done: a session that does not exist, or a worker
// that could not be reached, makes it 1. Publishing to a channel without members is no failure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "ctl/options.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxInputBytes = 16 * 1024 * 1024;  // of a file or of stdin

// "/v1/send"; "" if the verb is none of these.
std::string_view api_path(Verb verb);
// The JSON body; `message` is the payload of send, send-user, send-all and publish. Not for batch,
// whose body is its file.
std::string api_body(const Options& options, const std::string& message);
// Is the message fit to be sent as asked (UTF-8 unless --binary)?
Result<void> check_message(const Options& options, const std::string& message);

ExitCode run_push(const Options& options);

}  // namespace holdfast::ctl
