// worker/api/command_reader.h - one JSON object to a Command: the table of keys, and what their
// values may be.
#pragma once

#include <simdjson.h>

#include <functional>
#include <string>
#include <string_view>

#include "worker/api/json_command.h"

namespace holdfast::api {

struct Expected {
  Op op;
  bool in_batch;  // the object has "op" too
  size_t max_message_bytes;
};

// Stops at the first thing that is wrong. `raw_text` gives the text of a data value that is not a
// string.
ParsedCommand read_command(const Expected& expected, simdjson::dom::object object,
                           const std::function<std::string_view()>& raw_text);

// What a message quotes of the request: bounded. A cut character is mended by the JSON writer.
std::string quoted(std::string_view text);

}  // namespace holdfast::api
