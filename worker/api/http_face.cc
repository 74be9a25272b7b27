#include "worker/api/http_face.h"

#include <utility>

namespace holdfast::api {

HttpFace::HttpFace(const ApiContext& context, Wire& wire)
    : caller_{context, wire},
      reader_({context.config->limits.max_header_size, context.config->limits.max_headers,
               context.api->max_body}) {}

Face::Step HttpFace::step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) {
  using Status = http::RequestReader::Status;
  if (held_back_ && !quiet) return Step::wait;
  held_back_ = false;
  if (caller_.trace) {
    *used = bytes.size();
    return Step::need_more;
  }
  switch (reader_.feed(bytes, used)) {
    case Status::complete:
      return take(reply);
    case Status::failed:
      caller_.context.stats->api_bad_input.add();
      reply(unreadable(caller_.context, reader_.error_status(), reader_.error_text()));
      return Step::last;
    case Status::need_more:
      break;
  }
  if (!reader_.wants_continue() || std::exchange(continued_, true)) return Step::need_more;
  reply("HTTP/1.1 100 Continue\r\n\r\n");  // RFC 9110 section 10.1.1
  return Step::taken;
}

Face::Step HttpFace::take(const Reply& reply) {
  http::Request& request = reader_.request();
  if (*caller_.context.draining) request.keep_alive = false;
  bool last = !request.keep_alive;
  held_back_ = handle(caller_, request, reply) == Behind::nothing;
  reader_.reset();
  continued_ = false;
  return last ? Step::last : Step::taken;
}

// Whoever adds a member carries it or says why not: the known token spares a digest, no more.
static_assert(sizeof(HttpFace) == 88);

std::string HttpFace::save() const {
  handover::HttpRecord record;
  record.request = reader_.replay();
  record.held_back = held_back_;
  record.continued = continued_;
  if (caller_.trace) record.trace = caller_.trace->save();
  return handover::save(record);
}

bool HttpFace::restore(std::string_view bytes) {
  handover::HttpRecord record;
  if (!handover::load(bytes, record)) return false;
  size_t used = 0;  // a smaller limit shows with the next bytes
  (void)reader_.feed(record.request, &used);
  held_back_ = record.held_back;
  continued_ = record.continued;
  if (!record.trace) return true;
  caller_.trace = TraceStream::restore(caller_.context, std::move(*record.trace), caller_.wire);
  return caller_.trace != nullptr;
}

std::string_view HttpFace::farewell() const {
  return caller_.trace ? "0\r\n\r\n" : std::string_view();  // the last chunk
}

}  // namespace holdfast::api
