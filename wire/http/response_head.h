// wire/http/response_head.h - the head of an HTTP/1.1 answer, read where it lies: status, headers, and how its body ends (RFC
// 9112, sections 4 to 6). Pure bytes, no memory.
//
// As strict as the server's reading of requests (request.h), because two readers of one stream must not disagree about the end
// of an answer: a bare CR or LF, a folded line, a blank before the colon, control characters, a Content-Length that is doubled,
// a list or beside a Transfer-Encoding, and any transfer coding but chunked are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::http {

struct ResponseHead {
  enum class Body : uint8_t {
    none,    // 1xx, 204, 304, whatever the headers say
    length,  // `length` bytes
    chunks,
    to_the_end  // of the connection
  };
  int status = 0;  // 100 to 599
  bool version_11 = true;
  Body body = Body::none;
  uint64_t length = 0;
};

// `head`: from the status line to the empty line; what follows is not looked at. The answer to anything but HEAD and CONNECT.
// Returns "", or what is wrong with it in a few words.
std::string_view read_response_head(std::string_view head, ResponseHead* out);

struct HeaderView {
  std::string_view name, value;  // as sent; trimmed
};

// The headers of a head that read_response_head() found good, in order, one after the other.
class HeaderLines {
 public:
  explicit HeaderLines(std::string_view head);
  // False at the empty line.
  bool next(HeaderView* header);

 private:
  std::string_view rest_;
};

// The value of the first header of that name (any case), or empty.
std::optional<std::string_view> header_of(std::string_view head, std::string_view name);

}  // namespace holdfast::http
