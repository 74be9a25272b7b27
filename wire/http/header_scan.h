// wire/http/header_scan.h - finds the end of a request's header, byte by byte, and the bytes that
// must not be in it.
//
// Every byte is judged once, when it comes, so that nonsense (TLS at a plain port, among others) is
// answered at once and not when the limit of a header is reached. Within a line most bytes need no
// more than a look: plain() takes them together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/http/chars.h"

namespace holdfast::http {

// A status and a sentence that outlives everything.
struct Failure {
  int status = 0;  // 0: none
  std::string_view text;
  explicit operator bool() const { return status != 0; }
};

// Finds the end of a header, byte by byte, and the bytes that must not be in it.
class HeaderScan {
 public:
  enum class Found : uint8_t { more, empty_line, end };

  Failure take(char c, Found* found) {
    *found = Found::more;
    if (first_line_ && !in_line_)
      if (Failure failure = other_protocol(c)) return failure;
    if (previous_ == '\r' && c != '\n') return {400, "CR without LF in the header"};
    if (c == '\n') return end_line(found);
    if (c != '\r' && is_control_char(c)) return {400, "control character in the header"};
    if (!in_line_ && !first_line_ && (c == ' ' || c == '\t')) return {400, "folded header line"};
    if (c != '\r') in_line_ = true;
    previous_ = c;
    return {};
  }
  // How many bytes at the beginning change nothing: take() would say `more` to each of them.
  size_t plain(std::string_view bytes) const {
    if (!in_line_ || previous_ == '\r') return 0;
    size_t n = 0;
    while (n < bytes.size() && !is_control_char(bytes[n])) ++n;
    return n;
  }

 private:
  // Protocols meant for another port, by their first byte.
  static Failure other_protocol(char c) {
    if (c == '\x16') return {400, "this is TLS, and the listener speaks plain HTTP: it has no tls"};
    if (c == '*' || c == '$')
      return {400, "this is RESP (a Redis client), and the listener speaks HTTP"};
    return {};
  }
  Failure end_line(Found* found) {
    if (previous_ != '\r') return {400, "LF without CR in the header"};
    previous_ = '\n';
    if (!in_line_) {
      *found = first_line_ ? Found::empty_line : Found::end;
    } else {
      first_line_ = false;
    }
    in_line_ = false;
    return {};
  }

  bool in_line_ = false;  // after its first byte
  char previous_ = '\n';
  bool first_line_ = true;
};

}  // namespace holdfast::http
