// wire/http/response_reader.h - HTTP/1.1 answers from bytes, one after the other: the client's side. Pure bytes.
//
// A reader belongs to one connection. Answers before the one that counts (100 Continue, 103 Early Hints) are passed over; 101
// counts, and what follows it is not HTTP. How strict it is with a head: response_head.h.
//
//   phase       what comes next                              then
//   head        status line and headers                      one of the bodies, or complete
//   fixed       bytes that were announced                    complete
//   chunked     chunks (chunked.h)                           complete
//   to_the_end  anything, until end() is called              complete
//
// Invariants
//   I1  Any division of the same bytes gives the same answers.
//   I2  Nothing behind an answer is consumed with it.
//   I3  Memory: at most max_head_bytes, and max_body more for what has come of the body.
//   I4  What is no HTTP/1 is refused at its first wrong byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http/chunked.h"
#include "wire/http/header_scan.h"
#include "wire/http/response_head.h"

namespace holdfast::http {

struct Response {
  ResponseHead head;
  std::string lines;  // status line and headers as sent, with the empty line; for HeaderLines
  std::string body;
  // First header of that name (any case), or empty.
  std::optional<std::string_view> header(std::string_view name) const {
    return header_of(lines, name);
  }
};

struct ResponseLimits {
  size_t max_head_bytes = 64 * 1024;  // 64 or more; answers that are passed over count too
  size_t max_body = 0;                // what the reader keeps of a body at a time
};

class ResponseReader {
 public:
  enum class Status : uint8_t { need_more, complete, failed };

  explicit ResponseReader(const ResponseLimits& limits)
      : limits_(limits), chunks_(limits.max_body, limits.max_head_bytes) {}

  // Takes as much of `bytes` as belongs to the answer; `*consumed` reports how much that was. After complete (until reset())
  // and after failed (for good) it takes nothing and answers the same.
  Status feed(std::string_view bytes, size_t* consumed);
  // No more bytes will come: the end of a body without length, or a failure.
  Status end();
  void reset();  // for the next answer of the connection

  // The head is whole: response().head and .lines are final, .body is what has come. Also after a failure in the body.
  bool has_head() const { return has_head_; }
  const Response& response() const { return response_; }
  // What has come of the body, which is forgotten here: for a body that is used as it comes and may have no end.
  std::string take_body();
  // Some bytes of the answer have come.
  bool started() const { return passed_over_ > 0 || !response_.lines.empty(); }
  std::string_view error_text() const { return error_; }  // after failed

 private:
  enum class Phase : uint8_t { head, fixed, chunked, to_the_end, complete, failed };

  size_t take(std::string_view bytes);
  size_t take_head(std::string_view bytes);
  size_t take_start(std::string_view bytes);
  void head_done();
  void begin_body();
  size_t take_fixed(std::string_view bytes);
  size_t take_chunked(std::string_view bytes);
  size_t take_to_the_end(std::string_view bytes);
  void fail(std::string_view why);
  Status status() const;

  ResponseLimits limits_;
  Phase phase_ = Phase::head;
  bool has_head_ = false;
  HeaderScan scan_;
  ChunkedReader chunks_;
  Response response_;
  size_t passed_over_ = 0;  // bytes of answers before this one
  uint64_t left_ = 0;       // fixed: bytes that have not come
  std::string_view error_;
};

}  // namespace holdfast::http
