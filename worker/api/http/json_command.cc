#include "worker/api/http/json_command.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <utility>

#include "worker/api/http/call_shapes.h"
#include "worker/api/http/command_reader.h"

namespace holdfast::api {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kKeptBytes = 64 * 1024;  // tables for longer bodies are not kept

ondemand::parser& kept_parser() {
  thread_local ondemand::parser parser;
  return parser;
}

// A body that is read once, from its beginning to its end. Where something is wrong with it, the
// reader has stopped there: verdict() then parses it again as a whole, to tell "no JSON at all" from
// JSON that says something else than it should. Good bodies pay nothing for that. The parser's tables
// are kept for the next body: one Body at a time.
struct Body {
  explicit Body(std::string_view text) : padded(text) {}
  ~Body() {
    if (parser.capacity() > kKeptBytes) parser = ondemand::parser();
  }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  bool open() {
    return parser.iterate(padded).get(document) == simdjson::SUCCESS &&
           document.get_object().get(object) == simdjson::SUCCESS;
  }
  // Nothing comes behind the object that has been read.
  bool at_end() { return document.current_location().error() == simdjson::OUT_OF_BOUNDS; }
  // The error of the body as a whole, if there is one.
  std::optional<ApiError> verdict() const {
    if (padded.size() == 0) return ApiError{400, "bad_json", "the body is empty"};
    simdjson::dom::parser strict;
    simdjson::dom::element root;
    simdjson::error_code error = strict.parse(padded).get(root);
    if (error != simdjson::SUCCESS)
      return ApiError{400, "bad_json",
                      fmt::format("the body is not JSON: {}", simdjson::error_message(error))};
    if (!root.is_object()) return ApiError{400, "bad_json", "the body must be a JSON object"};
    return {};
  }
  ApiError error_or(ApiError found) const { return verdict().value_or(std::move(found)); }
  // For what simdjson's two parsers do not agree on.
  ApiError unreadable() const { return error_or({400, "bad_json", "the body could not be read"}); }

  simdjson::padded_string padded;
  ondemand::parser& parser = kept_parser();
  ondemand::document document;
  ondemand::object object;
};

ApiError bad_request(std::string message) {
  return {400, "bad_request", std::move(message)};
}

ApiError bad_commands() {
  return bad_request(fmt::format("commands: must be an array of 1 to {} commands", kMaxBatch));
}

ParsedCommand parse_item(ondemand::value value, Body& body, size_t max_bytes) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS)
    return bad_request("a command must be an object with \"op\"");
  std::optional<Op> op = op_of_item(object);
  if (!op) return bad_request(fmt::format("op: must be one of {}", all_op_names()));
  return read_command({*op, true, max_bytes}, body.document, object);
}

// The list under "commands", items with their own errors.
ParsedBatch parse_items(ondemand::value value, Body& body, size_t max_bytes) {
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return bad_commands();
  std::vector<ParsedCommand> items;
  bool all_good = true;
  for (auto element : array) {
    ondemand::value item;
    if (element.get(item) != simdjson::SUCCESS || items.size() == kMaxBatch) return bad_commands();
    items.push_back(parse_item(item, body, max_bytes));
    all_good = all_good && std::holds_alternative<Asked>(items.back());
  }
  if (items.empty()) return bad_commands();
  // What stands behind an item's error has been passed over.
  if (!all_good)
    if (std::optional<ApiError> error = body.verdict()) return *error;
  return items;
}

// The members of a batch: "commands", and nothing else.
ParsedBatch parse_envelope(Body& body, size_t max_bytes) {
  ParsedBatch batch = bad_commands();
  bool found = false;
  for (auto member : body.object) {
    ondemand::field field;
    std::string_view key;
    if (std::move(member).get(field) != simdjson::SUCCESS ||
        field.unescaped_key().get(key) != simdjson::SUCCESS)
      return body.unreadable();
    if (key != "commands")
      return bad_request(fmt::format("unknown key {}; allowed for batch: commands", quoted(key)));
    if (std::exchange(found, true)) return bad_request("key \"commands\" is given twice");
    batch = parse_items(field.value(), body, max_bytes);
    if (std::holds_alternative<ApiError>(batch)) return batch;
  }
  return batch;
}

}  // namespace

ParsedCommand parse_command(Op op, std::string_view text, size_t max_message_bytes) {
  Body body(text);
  if (!body.open()) return body.unreadable();
  ParsedCommand parsed = read_command({op, false, max_message_bytes}, body.document, body.object);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return body.error_or(std::move(*error));
  if (!body.at_end()) return body.unreadable();
  return parsed;
}

ParsedBatch parse_batch(std::string_view text, size_t max_message_bytes) {
  Body body(text);
  if (!body.open()) return body.unreadable();
  ParsedBatch parsed = parse_envelope(body, max_message_bytes);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return body.error_or(std::move(*error));
  if (!body.at_end()) return body.unreadable();
  return parsed;
}

}  // namespace holdfast::api
