// worker/api/http/command_reader.h - one JSON object to a Command: the rules for the values of its keys.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "worker/api/http/json_command.h"

namespace holdfast::api {

struct Expected {
  Op op;
  bool in_batch;  // the object has "op" too
  size_t max_message_bytes;
};

// Reads `object`, which belongs to `document`, once. Stops at the first fault; the bytes after it
// have not been looked at then, so the body as a whole may be no JSON either.
ParsedCommand read_command(const Expected& expected, simdjson::ondemand::document& document,
                           simdjson::ondemand::object object);

// The operation of a batch item; the object can be read from its start afterwards.
std::optional<Op> op_of_item(simdjson::ondemand::object& item);

// The part of the request that a message quotes: bounded. A cut character is mended by the JSON writer.
std::string quoted(std::string_view text);

}  // namespace holdfast::api
