#include "worker/api/http/trace_stream.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "worker/api/http/record.h"

namespace holdfast::api {
namespace {

constexpr std::string_view kUsage =
    "name exactly one in the query: session=ID, user=NAME or channel=NAME";

std::optional<TraceSubject> subject_named(std::string_view name, std::string value) {
  if (name == "session") {
    std::optional<shm::SessionId> id = shm::SessionId::parse(value);
    if (!id) return {};
    return TraceSubject{.kind = TraceKind::session, .session = *id};
  }
  if (name == "user" && valid_user(value))
    return TraceSubject{.kind = TraceKind::user, .name = std::move(value)};
  if (name == "channel" && valid_channel(value))
    return TraceSubject{.kind = TraceKind::channel, .name = std::move(value)};
  return {};
}

std::optional<TraceSubject> subject_of(std::string_view query) {
  size_t equals = query.find('=');
  if (equals == std::string_view::npos || query.find('&') != std::string_view::npos) return {};
  std::optional<std::string> value = http::percent_decode(query.substr(equals + 1));
  if (!value) return {};
  return subject_named(query.substr(0, equals), std::move(*value));
}

}  // namespace

TraceStream::Opened TraceStream::open(const ApiContext& context, const http::Request& request,
                                      Wire& wire) {
  std::optional<TraceSubject> subject = subject_of(request.query());
  if (!subject) return ApiError{400, "bad_request", std::string(kUsage)};
  std::unique_ptr<TraceStream> stream(new TraceStream(context, wire));
  stream->token_ = context.tracer->start(
      std::move(*subject), [self = stream.get()](std::string_view line) { self->on_line(line); });
  if (stream->token_ == 0)
    return ApiError{503, "too_many_traces",
                    fmt::format("this worker feeds {} traces already", Tracer::kMaxTraces)};
  return stream;
}

handover::TraceRecord TraceStream::save() const {
  return {token_, record_of(context_.tracer->subject_of(token_)), lost_};
}

std::unique_ptr<TraceStream> TraceStream::restore(const ApiContext& context,
                                                  handover::TraceRecord&& record, Wire& wire) {
  std::optional<TraceSubject> subject = subject_in(std::move(record.subject));
  if (!subject || record.token == 0) return nullptr;
  std::unique_ptr<TraceStream> stream(new TraceStream(context, wire));
  stream->token_ = record.token;
  stream->lost_ = record.lost;
  context.tracer->restore(record.token, *std::move(subject),
                          [self = stream.get()](std::string_view line) { self->on_line(line); });
  return stream;
}

TraceStream::~TraceStream() {
  if (token_ != 0) context_.tracer->stop(token_);
}

std::string TraceStream::head(const ApiContext& context) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n"
      "Holdfast-Worker: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
      context.slot);
}

void TraceStream::on_line(std::string_view line) {
  if (wire_.unsent() > kMaxUnsent) {
    ++lost_;
    context_.stats->trace_dropped.add();
    return;
  }
  if (lost_ > 0) {
    uint64_t lines = std::exchange(lost_, 0);
    push(fmt::format(R"({{"at_ms":{},"worker":{},"event":"lost","lines":{}}})", wall_ms(),
                     context_.slot, lines));
  }
  push(line);
}

void TraceStream::push(std::string_view line) {
  std::string head = fmt::format("{:x}\r\n", line.size() + 1);
  wire_.push(BufferRef::concat(head, line, "\n\r\n"), Urgency::bulk);
}

}  // namespace holdfast::api
