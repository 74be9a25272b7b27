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

std::string_view HttpFace::farewell() const {
  return caller_.trace ? "0\r\n\r\n" : std::string_view();  // the last chunk
}

}  // namespace holdfast::api
