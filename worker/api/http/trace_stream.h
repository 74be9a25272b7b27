// worker/api/http/trace_stream.h - GET /v1/trace: lines about the events of one session, user or channel, for
// as long as the caller listens.
//
// The answer has no end (chunked, RFC 9112 section 7.1; one JSON object a line): nothing else is
// answered on that connection. A caller that does not read loses lines, never the worker's memory: at
// most kMaxUnsent bytes wait for it, and lines left out are reported in a line "lost".
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "wire/http/request.h"
#include "worker/api/face.h"
#include "worker/api/http/outcome.h"
#include "worker/api/http/record.h"
#include "worker/observe/tracer.h"

namespace holdfast::api {

class TraceStream {
 public:
  static constexpr size_t kMaxUnsent = 1024 * 1024;

  // Begins to trace. The head of the answer is head(); it must be sent before the first line, so before
  // the caller gives the loop a turn. 400: not exactly one subject; 503: too many traces.
  using Opened = std::variant<std::unique_ptr<TraceStream>, ApiError>;
  static Opened open(const ApiContext& context, const http::Request& request, Wire& wire);
  // Goes on with another process's stream; null: the record makes no sense.
  handover::TraceRecord save() const;
  static std::unique_ptr<TraceStream> restore(const ApiContext& context,
                                              handover::TraceRecord&& record, Wire& wire);
  ~TraceStream();
  TraceStream(const TraceStream&) = delete;
  TraceStream& operator=(const TraceStream&) = delete;

  static std::string head(const ApiContext& context);

 private:
  TraceStream(const ApiContext& context, Wire& wire) : context_(context), wire_(wire) {}
  void on_line(std::string_view line);
  void push(std::string_view line);

  const ApiContext& context_;
  Wire& wire_;
  uint64_t token_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace holdfast::api
