// worker/api/http_api.h - the push API over HTTP/1.1 + JSON: a thin face of Router. Knows no
// socket.
//
// The connection feeds requests one at a time; handle() answers each exactly once, through `reply`,
// possibly later (when other workers' counts are needed). Routes and JSON are listed in
// holdfast-api(7).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "shm/segment.h"
#include "worker/http/request.h"
#include "worker/router.h"

namespace holdfast::api {

// A complete HTTP answer (http::make_response).
using Reply = std::function<void(std::string&& response)>;

struct ApiContext {
  const conf::Config* config;
  const conf::Api* api;   // the listener the request came by: token, max_body
  shm::Segment* segment;  // for stats and metrics
  uint16_t slot;          // answers carry it as "Holdfast-Worker"
  Router* router;
  shm::StatsBlock* stats;
  const bool* draining;  // readyz answers 503 while true
};

// Carries out one request. `reply` is called exactly once, maybe before this returns; neither
// `context` nor `request` is needed any more afterwards, but what the context points to must live
// until the reply.
void handle(const ApiContext& context, const http::Request& request, Reply reply);

// The answer to bytes that are no request (RequestReader::error_status and error_text): JSON as for
// any other error, counted, and "Connection: close".
std::string unreadable(const ApiContext& context, int status, std::string_view why);

}  // namespace holdfast::api
