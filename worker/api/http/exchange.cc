#include "worker/api/http/exchange.h"

#include <fmt/format.h>

namespace holdfast::api {
namespace {

using Head = fmt::basic_memory_buffer<char, 512>;

void put(Head& head, std::string_view text) {
  head.append(text.data(), text.data() + text.size());
}

void put(Head& head, size_t number) {
  fmt::format_int digits(number);
  head.append(digits.data(), digits.data() + digits.size());
}

}  // namespace

BufferRef http_answer(const ApiContext& context, const AnswerParts& answer, bool keep_alive,
                      bool head_only) {
  Head head;
  put(head, "HTTP/1.1 ");
  put(head, size_t(answer.status));
  put(head, " ");
  put(head, http::reason_phrase(answer.status));
  put(head, "\r\nContent-Type: ");
  put(head, answer.content_type);
  put(head, "\r\nContent-Length: ");
  put(head, answer.body.size());
  put(head, keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close");
  put(head, "\r\nHoldfast-Worker: ");
  put(head, context.slot);
  put(head, "\r\n");
  put(head, answer.headers);
  put(head, "\r\n");
  return BufferRef::concat({head.data(), head.size()},
                           head_only ? std::string_view() : answer.body);
}

void Exchange::send(const AnswerParts& answer) const {
  if (answer.status >= 400) context_->stats->api_errors.add();
  reply_(http_answer(*context_, answer, keep_alive_, head_only_));
}

}  // namespace holdfast::api
