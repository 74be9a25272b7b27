// worker/backends/fcgi/params.h - the FastCGI parameters of a session's requests (CGI/1.1, RFC 3875 section 4.1, and Holdfast's own).
//
// Three layers, joined for each request: those of the backend (made once), of the session (made at its hand-shake and kept
// as long as it lives), of the request.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/backends/app_request.h"
#include "worker/sessions/backend.h"

namespace holdfast {

// REQUEST_METHOD, SCRIPT_*, DOCUMENT_ROOT, GATEWAY_INTERFACE, SERVER_SOFTWARE, HOLDFAST_NODE and the configured ones, which win.
std::string backend_params(const conf::Backend& backend, uint16_t node);

// REQUEST_URI, QUERY_STRING, REMOTE_*, SERVER_*, SESSIONID, HOLDFAST_TRANSPORT and headers of the hand-shake as HTTP_*, by the rule of
// http/passed_headers.h. HOLDFAST_SUBPROTOCOL comes last: speak_params() changes it.
std::string session_params(const conf::Backend& backend, const Session& session,
                           const Opening& opening);
// The application has chosen another subprotocol than `before` ("": none).
void speak_params(const conf::Backend& backend, std::string_view before, std::string_view chosen,
                  std::string& session_params);
// The same for a session of which only the directory's entry is left.
std::string orphan_params(const conf::Backend& backend, const shm::SessionView& view);

// CONTENT_*, EVENT, HOLDFAST_EVENT, HOLDFAST_USER, HOLDFAST_DATA (the session data as a query string), HOLDFAST_OPCODE
// (message), HOLDFAST_REASON and HOLDFAST_CODE (close), HOLDFAST_CHANNEL (subscribe).
std::string request_params(const Session& session, AppEvent event, bool binary, size_t body_bytes,
                           std::string_view channel = {});

}  // namespace holdfast
