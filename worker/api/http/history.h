// worker/api/http/history.h - GET and DELETE /v1/channels/NAME/history, and what GET /v1/channels/NAME says of it.
#pragma once

#include <string>

#include "worker/api/http/exchange.h"

namespace holdfast::api {

// The path behind the channel's name, which has its own slashes as %2F.
inline constexpr std::string_view kHistorySuffix = "/history";

void get_history(const Exchange& exchange, const http::Request& request);
void delete_history(const Exchange& exchange, const http::Request& request);
// "history": {...} into the open object; nothing if the channel has no stream.
void write_stream(json::Writer& json, const std::optional<StreamState>& stream);

}  // namespace holdfast::api
