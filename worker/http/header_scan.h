// worker/http/header_scan.h - where a request's header ends, found byte by byte, and what must not
// be in it.
//
// Every byte is judged once, when it comes, so that nonsense (TLS at a plain port, among others) is
// answered at once and not when the limit of a header is reached.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/http/chars.h"

namespace holdfast::http {

// A status and a sentence that outlives everything.
struct Failure {
  int status = 0;  // 0: none
  std::string_view text;
  explicit operator bool() const { return status != 0; }
};

// Finds the end of a header, byte by byte, and what must not be in it.
class HeaderScan {
 public:
  enum class Found : uint8_t { more, empty_line, end };

  Failure take(char c, Found* found) {
    *found = Found::more;
    if (previous_ == '\r' && c != '\n') return {400, "CR without LF in the header"};
    if (c == '\n') return end_line(found);
    if (c != '\r' && is_control_char(c)) return {400, "control character in the header"};
    if (line_bytes_ == 0 && !first_line_ && (c == ' ' || c == '\t'))
      return {400, "folded header line"};
    if (c != '\r') ++line_bytes_;
    previous_ = c;
    return {};
  }

 private:
  Failure end_line(Found* found) {
    if (previous_ != '\r') return {400, "LF without CR in the header"};
    previous_ = '\n';
    if (line_bytes_ == 0) {
      *found = first_line_ ? Found::empty_line : Found::end;
    } else {
      first_line_ = false;
    }
    line_bytes_ = 0;
    return {};
  }

  size_t line_bytes_ = 0;  // without CR and LF
  char previous_ = '\n';
  bool first_line_ = true;
};

}  // namespace holdfast::http
