// worker/api/http/json_out.h - answers as JSON: a small writer, errors, and what became of a command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/routing/command.h"

namespace holdfast::api {

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, so that
// what we send is always JSON.
void append_json_string(std::string& out, std::string_view text);

// Writes one JSON value, commas included. The caller balances begin and end and puts a key before
// every member of an object.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view text);
  JsonWriter& number(uint64_t value);
  JsonWriter& boolean(bool value);
  // The members of `object`, which is the text of a JSON object, into the open one.
  JsonWriter& members_of(std::string_view object);
  std::string take() { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string out_;
  bool after_value_ = false;
};

// Why a request (or one command of a batch) was not carried out.
struct ApiError {
  int status = 400;
  std::string_view code;  // a literal: the list is in holdfast-api(7)
  std::string message;    // one sentence for the person who wrote the request
};

// "error":{"code":...,"message":...} into the open object.
void write_error(JsonWriter& json, const ApiError& error);
// The whole body of an error answer.
std::string error_body(const ApiError& error);

// Is this result a failure as a whole? 404 where the one session of bind, unbind or data is unknown;
// 413 where a session's data would be too large; 503 where nothing was delivered and some worker
// could not be told, so the caller may safely try again.
std::optional<ApiError> error_of(const Command& command, const CommandResult& result);
// delivered, unknown, failed, workers_failed, partial into the open object, as far as they apply.
void write_result(JsonWriter& json, const Command& command, const CommandResult& result);
// Status and members (error included) of a carried-out command into the open object; returns the
// status.
int write_outcome(JsonWriter& json, const Command& command, const CommandResult& result);

}  // namespace holdfast::api
