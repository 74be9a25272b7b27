// ctl/push.h - send, publish, kick, join, leave and channels: through the API of the instance's own
// socket.
//
// Exit code 0 means that everything asked for was done: a session that does not exist, or a worker
// that could not be told, makes it 1. Publishing to a channel without members is no failure.
#pragma once

#include <string>

#include "base/result.h"
#include "ctl/options.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxStdinBytes = 16 * 1024 * 1024;

// "/v1/send", or for channels "/v1/channels?limit=...".
std::string api_path(const Options& options);
// The JSON body; `data` is the message of send and publish. "" for channels, which is a GET.
std::string api_body(const Options& options, const std::string& data);
// Is the message fit to be sent as asked (UTF-8 unless --binary)?
Result<void> check_data(const Options& options, const std::string& data);

ExitCode run_push(const Options& options);

}  // namespace holdfast::ctl
