// worker/api/http/queries.h - the GET routes that answer questions: sessions, users, channels.
//
// The workers are asked for one session and for a channel's members, through the Router; the list of
// all sessions is read from the directory in the segment (session_pages.h). Each answers its
// exchange exactly once, possibly later. A name in a path is percent-decoded here ('+' is a plus).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/http/request.h"
#include "worker/api/http/exchange.h"

namespace holdfast::api {

void get_sessions(const Exchange& exchange, const http::Request& request);  // /v1/sessions
void get_session(const Exchange& exchange, const http::Request& request);   // /v1/sessions/ID
void get_users(const Exchange& exchange, const http::Request& request);     // /v1/users
void get_user(const Exchange& exchange, const http::Request& request);      // /v1/users/ID
void get_channels(const Exchange& exchange, const http::Request& request);  // /v1/channels
void get_channel(const Exchange& exchange, const http::Request& request);   // /v1/channels/NAME

// NAME of /v1/channels/NAME + suffix; nothing: it is no channel's name.
std::optional<std::string> channel_in_path(const http::Request& request, std::string_view suffix);
ApiError no_channel_in_path();

}  // namespace holdfast::api
