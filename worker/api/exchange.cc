#include "worker/api/exchange.h"

#include <fmt/format.h>

namespace holdfast::api {

void Exchange::send(int status, std::string_view content_type, std::string_view body,
                    std::string_view extra) const {
  if (status >= 400) context_.stats->api_errors.add();
  std::string headers = fmt::format("Holdfast-Worker: {}\r\n{}", context_.slot, extra);
  std::string response = http::make_response(status, content_type, body, keep_alive_, headers);
  // The header of an answer to HEAD is that of GET, Content-Length included (RFC 9110
  // section 9.3.2).
  if (head_only_) response.resize(response.size() - body.size());
  reply_(std::move(response));
}

}  // namespace holdfast::api
