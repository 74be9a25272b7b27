// worker/api/http/outcome.h - answers as JSON: a small writer, errors, and the outcome of a command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/json/writer.h"
#include "worker/routing/command.h"

namespace holdfast::api {

// Why a request (or one command of a batch) was not carried out.
struct ApiError {
  int status = 400;
  std::string_view code;  // a literal: the list is in holdfast-api(7)
  std::string message;    // one sentence for the person who wrote the request
};

// "error":{"code":...,"message":...} into the open object.
void write_error(json::Writer& json, const ApiError& error);
// The whole body of an error answer.
std::string error_body(const ApiError& error);

// Is this result a failure as a whole? 404 if the one session of bind, unbind or data is unknown;
// 413 if a session's data would be too large; 503 if nothing was delivered and some worker could not
// be reached, so the caller may safely try again.
std::optional<ApiError> error_of(const Command& command, const CommandResult& result);
// delivered, unknown, failed, workers_failed, partial into the open object, as far as they apply.
void write_result(json::Writer& json, const Command& command, const CommandResult& result);
// Status and members (error included) of a carried-out command into the open object; returns the
// status.
int write_outcome(json::Writer& json, const Command& command, const CommandResult& result);

}  // namespace holdfast::api
