// Bodies of the HTTP API: every call, and a batch of calls. They come whole, so instead of divided
// they are read in two places: where the body ends with its memory, and where something follows.
#include <simdjson.h>

#include "tests/fuzz/fuzz.h"
#include "worker/api/http/json_command.h"

namespace holdfast {
namespace {

using fuzz::Told;

constexpr size_t kMaxMessage = 200;

// What the caller is told must be JSON, whatever was in the body.
void expect_json(const std::string& text) {
  simdjson::dom::parser parser;
  fuzz::expect(parser.parse(text).error() == simdjson::SUCCESS, "an error is JSON: " + text);
}

// A command that was accepted keeps the promises of command.h.
void expect_valid(const Command& command) {
  fuzz::expect(command.data.size() <= kMaxMessage, "data is within its bound");
  for (const std::string& channel : command.channels)
    fuzz::expect(valid_channel(channel), "a channel's name");
  for (const std::string& user : command.users) fuzz::expect(valid_user(user), "a user's name");
  std::string bytes = command.encode();
  fuzz::expect(bytes.size() == command.encoded_bytes(), "its size is known");
  auto again = Command::decode(bytes);
  fuzz::expect(again && again->encode() == bytes, "it travels to another worker");
}

std::string tell(const api::ParsedCommand& parsed) {
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    fuzz::expect(error->status >= 400 && error->status < 500, "it is the caller's mistake");
    expect_json(api::error_body(*error));
    return "error " + error->message;
  }
  const auto& asked = std::get<api::Asked>(parsed);
  expect_valid(asked.command);
  fuzz::expect(asked.id.size() <= api::kMaxIdBytes, "an id is within its bound");
  return asked.id + ' ' + asked.command.encode();
}

Told run(std::string_view body) {
  Told told;
  for (auto op = Op::send; op <= Op::data; op = Op(int(op) + 1))
    told.push_back(tell(api::parse_command(op, body, kMaxMessage)));
  api::ParsedBatch batch = api::parse_batch(body, kMaxMessage);
  if (const auto* error = std::get_if<api::ApiError>(&batch)) {
    told.push_back(tell(*error));
    return told;
  }
  for (const api::ParsedCommand& item : std::get<std::vector<api::ParsedCommand>>(batch))
    told.push_back(tell(item));
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  std::string_view body = fuzz::view(data, size);
  std::string longer = std::string(body) + "\"]}, {\"data\": 1}" + std::string(64, ' ');
  Told here = run(fuzz::Piece(body).view());
  Told there = run(std::string_view(longer).substr(0, size));
  fuzz::expect(here == there, "what follows a body does not matter");
  return 0;
}
