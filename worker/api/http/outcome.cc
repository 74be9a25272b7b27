#include "worker/api/http/outcome.h"

#include <fmt/format.h>

#include "worker/sessions/session.h"

namespace holdfast::api {
namespace {

void write_ids(json::Writer& json, std::string_view key, const std::vector<shm::SessionId>& ids) {
  json.key(key).begin_array();
  for (const shm::SessionId& id : ids) json.string(id.hex());
  json.end_array();
}

bool concerns_one_session(Op op) {
  return op == Op::bind || op == Op::unbind || op == Op::data;
}

}  // namespace

void write_error(json::Writer& json, const ApiError& error) {
  json.key("error").begin_object();
  json.key("code").string(error.code);
  json.key("message").string(error.message);
  json.end_object();
}

std::string error_body(const ApiError& error) {
  json::Writer json;
  json.begin_object();
  write_error(json, error);
  json.end_object();
  return json.take();
}

std::optional<ApiError> error_of(const Command& command, const CommandResult& result) {
  if (concerns_one_session(command.op) && !result.unknown.empty())
    return ApiError{404, "unknown_session",
                    fmt::format("no session {} is connected", result.unknown[0].hex())};
  if (command.op == Op::data && result.refused > 0)
    return ApiError{413, "too_large",
                    fmt::format("the session's data would be more than {} bytes of keys and "
                                "values; nothing was changed",
                                kMaxDataBytes)};
  if (result.delivered == 0 && result.positions.empty() &&
      (!result.failed.empty() || result.workers_failed > 0))
    return ApiError{503, "overloaded",
                    "nothing was delivered: the mailboxes of the workers concerned are full; "
                    "try again later"};
  return {};
}

namespace {

// By channel; null: the message has none, for want of memory.
void write_positions(json::Writer& json, const std::vector<Placed>& positions) {
  json.key("positions").begin_object();
  for (const Placed& placed : positions) {
    json.key(placed.channel);
    if (placed.at.known())
      json.string(text_of(placed.at));
    else
      json.raw("null");
  }
  json.end_object();
  bool some = false;
  for (const Placed& placed : positions) {
    if (!placed.superseded) continue;
    if (!some) json.key("superseded").begin_array();
    some = true;
    json.string(placed.channel);
  }
  if (some) json.end_array();
}

}  // namespace

void write_result(json::Writer& json, const Command& command, const CommandResult& result) {
  json.key("delivered").number(result.delivered);
  if (!command.sessions.empty() && !concerns_one_session(command.op))
    write_ids(json, "unknown", result.unknown);
  if (!result.failed.empty()) write_ids(json, "failed", result.failed);
  if (result.workers_failed > 0) json.key("workers_failed").number(result.workers_failed);
  if (result.refused > 0) json.key("refused").number(result.refused);
  if (result.partial) json.key("partial").boolean(true);
  if (!result.positions.empty()) write_positions(json, result.positions);
}

int write_outcome(json::Writer& json, const Command& command, const CommandResult& result) {
  std::optional<ApiError> error = error_of(command, result);
  if (error) write_error(json, *error);
  if (!error || error->status == 503) write_result(json, command, result);
  return error ? error->status : 200;
}

}  // namespace holdfast::api
