// worker/api/exchange.h - one API request that is being answered: what the answer needs once the
// request is gone.
#pragma once

#include <string>
#include <string_view>

#include "worker/api/http_api.h"
#include "worker/api/json_out.h"

namespace holdfast::api {

// A value; callbacks that answer later carry a copy. Exactly one of the calls below ends it.
class Exchange {
 public:
  Exchange(const ApiContext& context, const http::Request& request, Reply reply)
      : context_(context),
        reply_(std::move(reply)),
        keep_alive_(request.keep_alive),
        head_only_(request.method == "HEAD") {}

  const ApiContext& context() const { return context_; }

  void answer(int status, std::string_view body) const { send(status, kJson, body, {}); }
  void answer_text(std::string_view content_type, std::string_view body) const {
    send(200, content_type, body, {});
  }
  // `extra` are complete header lines or "".
  void refuse(const ApiError& error, std::string_view extra = {}) const {
    send(error.status, kJson, error_body(error), extra);
  }

 private:
  static constexpr std::string_view kJson = "application/json";
  void send(int status, std::string_view content_type, std::string_view body,
            std::string_view extra) const;

  ApiContext context_;
  Reply reply_;
  bool keep_alive_;
  bool head_only_;
};

}  // namespace holdfast::api
