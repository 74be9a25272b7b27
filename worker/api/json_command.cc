#include "worker/api/json_command.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <utility>

#include "worker/api/command_reader.h"
#include "worker/api/raw_data.h"

namespace holdfast::api {
namespace {

namespace dom = simdjson::dom;

// A parsed body: the copy simdjson needs, and what was made of it.
struct Body {
  explicit Body(std::string_view text) : padded(text), raw(padded) {}

  std::optional<ApiError> parse() {
    if (padded.size() == 0) return ApiError{400, "bad_json", "the body is empty"};
    dom::element root;
    simdjson::error_code error = parser.parse(padded).get(root);
    if (error == simdjson::SUCCESS) error = root.get(object);
    if (error == simdjson::SUCCESS) return {};
    if (error == simdjson::INCORRECT_TYPE)
      return ApiError{400, "bad_json", "the body must be a JSON object"};
    return ApiError{400, "bad_json",
                    fmt::format("the body is not JSON: {}", simdjson::error_message(error))};
  }

  simdjson::padded_string padded;
  RawData raw;
  dom::parser parser;
  dom::object object;
};

ApiError bad_request(std::string message) {
  return {400, "bad_request", std::move(message)};
}

// The "op" of a batch item. A second one is found by CommandReader.
std::optional<Op> op_of_item(dom::object item) {
  std::string_view name;
  if (item.at_key("op").get(name) != simdjson::SUCCESS) return {};
  return op_named(name);
}

ParsedCommand parse_item(dom::element element, size_t index, Body& body, size_t max_bytes) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS)
    return bad_request("a command must be an object with \"op\"");
  std::optional<Op> op = op_of_item(object);
  if (!op)
    return bad_request(
        "op: must be one of send, send-user, send-all, publish, join, leave, bind, unbind, kick");
  return read_command({*op, true, max_bytes}, object, [&] { return body.raw.of_item(index); });
}

// The members of a batch: "commands", and nothing else.
std::variant<dom::array, ApiError> commands_of(dom::object envelope) {
  dom::array commands;
  bool found = false;
  for (dom::key_value_pair member : envelope) {
    if (member.key != "commands")
      return bad_request(
          fmt::format("unknown key {}; allowed for batch: commands", quoted(member.key)));
    if (std::exchange(found, true)) return bad_request("key \"commands\" is given twice");
    if (member.value.get(commands) != simdjson::SUCCESS || commands.size() > kMaxBatch)
      return bad_request(fmt::format("commands: must be an array of 1 to {} commands", kMaxBatch));
  }
  if (!found || commands.size() == 0)
    return bad_request(fmt::format("commands: must be an array of 1 to {} commands", kMaxBatch));
  return commands;
}

}  // namespace

ParsedCommand parse_command(Op op, std::string_view text, size_t max_message_bytes) {
  Body body(text);
  if (std::optional<ApiError> error = body.parse()) return *error;
  return read_command({op, false, max_message_bytes}, body.object,
                      [&] { return body.raw.of_call(); });
}

ParsedBatch parse_batch(std::string_view text, size_t max_message_bytes) {
  Body body(text);
  if (std::optional<ApiError> error = body.parse()) return *error;
  std::variant<dom::array, ApiError> commands = commands_of(body.object);
  if (ApiError* error = std::get_if<ApiError>(&commands)) return *error;
  std::vector<ParsedCommand> parsed;
  for (dom::element element : std::get<dom::array>(commands))
    parsed.push_back(parse_item(element, parsed.size(), body, max_message_bytes));
  return parsed;
}

}  // namespace holdfast::api
