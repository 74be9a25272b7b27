// wire/http/chunked.h - a chunked body from bytes (RFC 9112 section 7.1).
//
// Ours and not the HTTP library's, because that one wants every chunk line whole in one buffer
// without a bound, and adds trailer fields to the header's. Here extensions and trailers are
// checked, bounded and dropped.
//
//   phase         next bytes                                   then
//   size          first hex digit of a chunk's size            more_size
//   more_size     hex digits, or ';', or CR                    extension / size_lf
//   extension     anything up to CR                            size_lf
//   size_lf       LF                                           data, or trailer after size 0
//   data          the chunk's bytes                            data_cr
//   data_cr       CR                                           data_lf
//   data_lf       LF                                           size
//   trailer       a field line's first byte, or CR             trailer_line / end_lf
//   trailer_line  anything up to CR                            trailer_lf
//   trailer_lf    LF                                           trailer
//   end_lf        LF                                           done
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::http {

class ChunkedReader {
 public:
  enum class Status : uint8_t { need_more, complete, malformed, body_too_large, line_too_long };

  // `max_trailer` bounds all trailer lines together.
  ChunkedReader(size_t max_body, size_t max_trailer)
      : max_body_(max_body), max_trailer_(max_trailer) {}
  // Appends the decoded bytes to `body`; `*consumed` of `bytes` belonged to it. Not to be called
  // again after another answer than need_more.
  Status feed(std::string_view bytes, std::string& body, size_t* consumed);
  // Nothing of the body has come.
  bool untouched() const { return phase_ == Phase::size && !any_; }
  // Bytes that bring a fresh reader to where this one stands, `body` being the bytes it has decoded.
  std::string replay(std::string_view body) const;

 private:
  enum class Phase : uint8_t {
    size,
    more_size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer,
    trailer_line,
    trailer_lf,
    end_lf
  };

  Status step(char c, size_t body_bytes);
  Status take_size_digit(char c, size_t body_bytes);
  Status take_line_byte(char c, Phase after_cr);
  Status expect(char c, char wanted, Phase next);
  Status go(Phase next);

  size_t max_body_;
  size_t max_trailer_;
  uint64_t left_ = 0;      // of the chunk
  size_t line_bytes_ = 0;  // of the size line; of all trailer lines
  Phase phase_ = Phase::size;
  bool any_ = false;
};

}  // namespace holdfast::http
