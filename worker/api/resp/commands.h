// worker/api/resp/commands.h - the commands of RESP listeners: names, numbers of arguments, who may,
// and how they stand in the row of answers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "worker/api/resp/call.h"

namespace holdfast::api {

enum RespFlag : unsigned {
  kNeedsNobody = 1,      // without authentication
  kWhileSubscribed = 2,  // in RESP2 also on a connection that has subscribed
  kWaits = 4,            // not before every earlier request has its answer
  kChangesState = 8,     // later requests wait until this has its answer
  kEnds = 16,            // the connection ends with its answer
  kContainer = 32,       // the second word names the command; that has a row of its own
  kAtOnce = 64,          // after MULTI it is not queued but carried out
  kNotInMulti = 128,     // after MULTI it is an error: its answers are no single reply
};

struct RespCommand {
  std::string_view name;  // lower case; "client|id" for a subcommand
  int arity;              // with its name: exactly so many arguments; negative: at least so many
  unsigned scopes;        // 0: any authenticated caller
  unsigned flags;
  void (*run)(const RespCall& call);  // null for a container that does nothing of itself
};

// All rows, sorted by name.
std::span<const RespCommand> resp_commands();

// The row of a request with the right number of arguments, or the error that refuses it, as Redis
// words it.
std::variant<const RespCommand*, std::string> find_command(resp::Arguments arguments);
// The reason why a caller in this state may not use it, or "". Counted.
std::string refusal_of(const ApiContext& context, const RespState& state,
                       const RespCommand& command);

}  // namespace holdfast::api
