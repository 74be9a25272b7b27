// worker/api/http/json_command.h - a request's JSON body to a Command, or to the error that names the
// fault.
//
// Everything is checked here, before anything is done: keys (unknown, repeated and missing ones are
// errors), types, names, ids, sizes. A Command that leaves this file is valid (command.h), so the
// router checks nothing again.
//
// Payload: "data" as a string goes out as the string; any other JSON value goes out as its text,
// byte for byte as it stands in the body. "data_base64" (RFC 4648 section 4, padded) is any bytes.
// Text must be UTF-8, unless "binary": true. Session data ("set", "merge") are strings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "worker/api/http/outcome.h"
#include "worker/routing/command.h"

namespace holdfast::api {

inline constexpr size_t kMaxSessionsPerCall = 10'000;  // and users, and excluded sessions
inline constexpr size_t kMaxChannelsPerCall = 1'000;
inline constexpr size_t kMaxBatch = 1'000;
inline constexpr size_t kMaxReasonBytes = 123;  // as many as a WebSocket close frame can carry
inline constexpr size_t kMaxDataPairs = 1'000;  // of one set or merge
inline constexpr size_t kMaxIdBytes = 255;      // of an idempotency key
// In the application's range (RFC 6455 section 7.4.2), so that a client can tell a kick from an
// ordinary end.
inline constexpr uint16_t kDefaultKickCode = 4000;

// One command, as it was asked for.
struct Asked {
  Command command;
  std::string id;  // the caller's idempotency key ("id"); "" for none
};
using ParsedCommand = std::variant<Asked, ApiError>;
using ParsedBatch = std::variant<std::vector<ParsedCommand>, ApiError>;

// The operation a path or a batch item's "op" names: "send", "send-user", ...
std::optional<Op> op_named(std::string_view name);

// The body of POST /v1/NAME. For unbind, users[0] is the user that the caller believes the session
// is bound to, if given.
ParsedCommand parse_command(Op op, std::string_view body, size_t max_message_bytes);
// The body of POST /v1/batch. An error is one of the envelope; an item's own error stands in its
// place.
ParsedBatch parse_batch(std::string_view body, size_t max_message_bytes);

}  // namespace holdfast::api
