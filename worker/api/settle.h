// worker/api/settle.h - the last questions about a valid command, which only the segment answers.
#pragma once

#include <optional>

#include "worker/api/face.h"
#include "worker/api/http/outcome.h"

namespace holdfast::api {

// Called once before Router::execute(); an error means nothing may be done.
//   Size: a command that would not fit a mailbox record is refused, wherever its sessions are, so
//   that the same call does not depend on which worker holds which session. Unbind with a user:
//   refused if the session is bound to another one. Else the user is taken off the command: to the
//   router it would be an addressee.
std::optional<ApiError> settle(const ApiContext& context, Command& command);

}  // namespace holdfast::api
