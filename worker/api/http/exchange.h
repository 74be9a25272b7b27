// worker/api/http/exchange.h - one HTTP request that is being answered: all that the answer needs once
// the request is gone.
#pragma once

#include <string_view>

#include "wire/http/request.h"
#include "worker/api/face.h"
#include "worker/api/http/outcome.h"

namespace holdfast::api {

inline constexpr std::string_view kJson = "application/json";

// The parts of an answer. The texts are our own: they go out as they stand.
struct AnswerParts {
  int status = 200;
  std::string_view content_type = kJson;
  std::string_view headers;  // complete header lines, or ""
  std::string_view body;
};

// A whole HTTP answer of this worker's. `head_only`: to HEAD, without the body, but with its length
// (RFC 9110 section 9.3.2).
BufferRef http_answer(const ApiContext& context, const AnswerParts& answer, bool keep_alive,
                      bool head_only = false);

// A value; callbacks that answer later carry a copy. Exactly one of the calls below ends it.
// `context` outlives it.
class Exchange {
 public:
  Exchange(const ApiContext& context, const http::Request& request, const Reply& reply)
      : context_(&context),
        reply_(reply),
        keep_alive_(request.keep_alive),
        head_only_(request.method == "HEAD") {}

  const ApiContext& context() const { return *context_; }
  uint64_t source() const { return reply_.source(); }

  // `extra`, here and below, are complete header lines or "".
  void answer(int status, std::string_view body, std::string_view extra = {}) const {
    send({status, kJson, extra, body});
  }
  void answer_text(std::string_view content_type, std::string_view body) const {
    send({200, content_type, {}, body});
  }
  void refuse(const ApiError& error, std::string_view extra = {}) const {
    send({error.status, kJson, extra, error_body(error)});
  }

 private:
  void send(const AnswerParts& answer) const;

  const ApiContext* context_;
  Reply reply_;
  bool keep_alive_;
  bool head_only_;
};

}  // namespace holdfast::api
