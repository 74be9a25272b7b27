#include "worker/api/http/json_out.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>

#include "worker/sessions/session.h"

namespace holdfast::api {
namespace {

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\b':
      out += "\\b";
      break;
    case '\f':
      out += "\\f";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

bool needs_escape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

void write_ids(JsonWriter& json, std::string_view key, const std::vector<shm::SessionId>& ids) {
  json.key(key).begin_array();
  for (const shm::SessionId& id : ids) json.string(id.hex());
  json.end_array();
}

bool concerns_one_session(Op op) {
  return op == Op::bind || op == Op::unbind || op == Op::data;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  out += '"';
  for (char c : text) {
    if (needs_escape(c))
      append_escaped(out, c);
    else if (!utf8 && static_cast<unsigned char>(c) >= 0x80)
      out += "\\ufffd";
    else
      out += c;
  }
  out += '"';
}

void JsonWriter::separate() {
  if (after_value_) out_ += ',';
  after_value_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  after_value_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  after_value_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += ':';
  after_value_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  separate();
  append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::number(uint64_t value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::members_of(std::string_view object) {
  if (object.size() <= 2) return *this;  // "{}"
  separate();
  out_ += object.substr(1, object.size() - 2);
  return *this;
}

void write_error(JsonWriter& json, const ApiError& error) {
  json.key("error").begin_object();
  json.key("code").string(error.code);
  json.key("message").string(error.message);
  json.end_object();
}

std::string error_body(const ApiError& error) {
  JsonWriter json;
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
  if (result.delivered == 0 && (!result.failed.empty() || result.workers_failed > 0))
    return ApiError{503, "overloaded",
                    "nothing was delivered: the mailboxes of the workers concerned are full; "
                    "try again later"};
  return {};
}

void write_result(JsonWriter& json, const Command& command, const CommandResult& result) {
  json.key("delivered").number(result.delivered);
  if (!command.sessions.empty() && !concerns_one_session(command.op))
    write_ids(json, "unknown", result.unknown);
  if (!result.failed.empty()) write_ids(json, "failed", result.failed);
  if (result.workers_failed > 0) json.key("workers_failed").number(result.workers_failed);
  if (result.refused > 0) json.key("refused").number(result.refused);
  if (result.partial) json.key("partial").boolean(true);
}

int write_outcome(JsonWriter& json, const Command& command, const CommandResult& result) {
  std::optional<ApiError> error = error_of(command, result);
  if (error) write_error(json, *error);
  if (!error || error->status == 503) write_result(json, command, result);
  return error ? error->status : 200;
}

}  // namespace holdfast::api
