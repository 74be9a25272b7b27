#include "worker/api/http/face.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "worker/api/http/record.h"

namespace holdfast::api {

HttpFace::HttpFace(const ApiContext& context, Wire& wire)
    : caller_{context, wire},
      reader_({context.config->limits.max_header_size, context.config->limits.max_headers,
               context.api->max_body, true}) {}

Face::Step HttpFace::step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) {
  using Status = http::RequestReader::Status;
  if (held_back_ && !quiet) return Step::wait;
  held_back_ = false;
  if (caller_.trace) {
    *used = bytes.size();
    return Step::need_more;
  }
  Status status = reader_.feed(bytes, used);
  if (status == Status::header) {
    Step said = judge_header(reply);
    if (said != Step::need_more) return said;
    size_t more = 0;
    status = reader_.feed(bytes.substr(*used), &more);
    *used += more;
  }
  switch (status) {
    case Status::complete:
      return take(reply);
    case Status::failed:
      caller_.context.stats->api_bad_input.add();
      reply(unreadable(caller_.context, reader_.error_status(), reader_.error_text()));
      return Step::last;
    case Status::header:
    case Status::need_more:
      break;
  }
  if (!reader_.wants_continue() || std::exchange(continued_, true)) return Step::need_more;
  reply("HTTP/1.1 100 Continue\r\n\r\n");  // RFC 9110 section 10.1.1
  return Step::taken;
}

// Nothing of a body is kept for somebody who may not send it (RFC 9112 section 9.3: it is read to its end all the same, or
// the connection is closed). need_more: go on with the body.
Face::Step HttpFace::judge_header(const Reply& reply) {
  http::Request& request = reader_.request();
  bool usual = request.keep_alive;
  // Who waits for "100 Continue" may send the body after another answer, or not (RFC 9110 section 10.1.1).
  bool skipped = reader_.body_announced().value_or(SIZE_MAX) <= kMaxIdleBody &&
                 !request.header_has_token("Expect", "100-continue");
  request.keep_alive = usual && skipped && !*caller_.context.draining;
  bool last = !request.keep_alive;
  bool refused = refused_by_header(caller_, request, reply);
  if (!refused && !wants_body(request) && !reader_.limit_body(kMaxIdleBody)) {
    refuse_body(caller_.context, request, reply);
    refused = true;
  }
  request.keep_alive = usual;
  if (!refused) return Step::need_more;
  if (last) return Step::last;
  reader_.skip_body();
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

// Whoever adds a member carries it or says why not.
static_assert(sizeof(HttpFace) == 88);

std::string HttpFace::save() const {
  handover::HttpRecord record;
  record.request = reader_.replay();
  record.held_back = held_back_;
  record.continued = continued_;
  record.skipping = reader_.skipping();
  if (caller_.trace || caller_.token.scopes != 0)
    record.secret_digest = secret_digest(caller_.token.secret);
  if (caller_.trace) record.trace = caller_.trace->save();
  return handover::save(record);
}

bool HttpFace::restore(std::string_view bytes) {
  handover::HttpRecord record;
  if (!handover::load(bytes, record)) return false;
  // A smaller limit shows with the next bytes, and a token that is no good when the request is whole.
  size_t used = 0, more = 0;
  if (reader_.feed(record.request, &used) == http::RequestReader::Status::header)
    (void)reader_.feed(std::string_view(record.request).substr(used), &more);
  if (record.skipping > 0) reader_.skip(record.skipping);
  held_back_ = record.held_back;
  continued_ = record.continued;
  judge_again(record.secret_digest, record.trace.has_value());
  if (!record.trace) return true;
  caller_.trace = TraceStream::restore(caller_.context, std::move(*record.trace), caller_.wire);
  return caller_.trace != nullptr;
}

// What the caller had shown, by our tokens. A record of an older version has no digest: its trace goes on.
void HttpFace::judge_again(std::string_view digest, bool traces) {
  const std::vector<conf::Token>& tokens = caller_.context.api->tokens;
  if (tokens.empty() || digest.empty()) return;
  for (const conf::Token& token : tokens)
    if (secret_digest(token.secret) == digest)
      caller_.token = {token.secret, scopes_of_digest(tokens, digest)};
  if (traces && (caller_.token.scopes & conf::kScopeAdmin) == 0)
    grant_ = Grant::withdrawn_in_use;
  else if (caller_.token.scopes == 0)
    grant_ = Grant::withdrawn;
}

std::string HttpFace::take_leave() {
  if (!caller_.trace) return {};
  caller_.trace.reset();
  std::string line = fmt::format(R"({{"at_ms":{},"worker":{},"event":"revoked"}})", wall_ms(),
                                 caller_.context.slot);
  return fmt::format("{:x}\r\n{}\n\r\n0\r\n\r\n", line.size() + 1, line);
}

std::string_view HttpFace::farewell() const {
  return caller_.trace ? "0\r\n\r\n" : std::string_view();  // the last chunk
}

}  // namespace holdfast::api
