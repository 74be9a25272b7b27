// worker/api/http/routes.h - the push API over HTTP/1.1 + JSON: which request means what, and who may
// make it. Knows no socket.
//
// Each request is answered exactly once, through its Reply, possibly later (when other workers'
// counts are needed). Routes and JSON are listed in holdfast-api(7).
#pragma once

#include <memory>
#include <string_view>

#include "wire/http/request.h"
#include "worker/api/auth.h"
#include "worker/api/face.h"
#include "worker/api/http/trace_stream.h"

namespace holdfast::api {

// The connection that requests come by, and what it has been granted.
struct Caller {
  const ApiContext& context;  // outlives every reply
  Wire& wire;
  KnownToken token = {};
  std::unique_ptr<TraceStream> trace = {};  // while it is there, the connection is its
};

// The later requests that may be carried out before a request has its answer.
enum class Behind : uint8_t {
  anything,
  nothing,  // it changes what the next ones may depend on, is a batch, or asks for a long list
};

// The longest body of a request that does not need one.
inline constexpr size_t kMaxIdleBody = 64 * 1024;

// Is it refused because of its header: token, path, method? Then it is answered.
bool refused_by_header(Caller& caller, const http::Request& request, const Reply& reply);

// Does a request of this path have a use for its body?
bool wants_body(const http::Request& request);

// Refuses a body of that many bytes if it is of no use.
void refuse_body(const ApiContext& context, const http::Request& request, const Reply& reply);

// Carries out one request; it is not needed any more afterwards.
Behind handle(Caller& caller, const http::Request& request, const Reply& reply);

// The answer to bytes that are no request (RequestReader::error_status and error_text): JSON as for
// any other error, counted, and "Connection: close".
BufferRef unreadable(const ApiContext& context, int status, std::string_view why);

}  // namespace holdfast::api
