// wire/http/request.h - HTTP/1.1 requests from bytes, by Boost.Beast's parser without I/O, and
// answers to bytes.
//
// request.cc is the one file that includes Boost.Beast. Used for hand-shakes and for the push API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::http {

struct Header {
  std::string name;   // as sent
  std::string value;  // trimmed
};

struct Request {
  std::string method;
  std::string target;           // as sent: "/ws?channel=a"
  std::vector<Header> headers;  // in order, repeats kept
  std::string body;
  bool version_11 = true;
  bool keep_alive = true;

  // Target before '?'; of a target in absolute form ("http://host/ws") the part after the host.
  std::string_view path() const;
  std::string_view query() const;  // after it, or ""
  // First header of that name (case-insensitive), or empty.
  std::optional<std::string_view> header(std::string_view name) const;
  // Does a comma-separated header of that name hold the token (case-insensitive; RFC 9110
  // section 5.6.1)?
  bool header_has_token(std::string_view name, std::string_view token) const;
};

// Percent-decoding of one query component ('+' is a space); empty if an escape is malformed.
std::optional<std::string> percent_decode(std::string_view text);
// All values of `name` in a query string, decoded, in order. Empty if one of them is malformed:
// a client that asks for something that cannot be read must not get the rest of it.
std::optional<std::vector<std::string>> query_values(std::string_view query, std::string_view name);

struct RequestLimits {
  size_t max_header_bytes = 16 * 1024;
  unsigned max_headers = 100;
  size_t max_body = 0;       // 0: a request with a body is refused with 413
  bool tell_header = false;  // feed() says `header`
};

// Reads requests one after the other.
//
// Strict where readers of one stream have been made to disagree about where a request ends: a bare
// CR or LF, a folded header line, a blank before the colon, control characters, Content-Length
// twice or as a list, Content-Length together with Transfer-Encoding, either of them malformed, no
// Host or two: 400. Expect: 100-continue is a header like others; see wants_continue().
//
// Invariants
//   I1  Any division of the same bytes gives the same requests.
//   I2  Nothing after a request is consumed with it: the rest is the next request's or, after an
//       upgrade, not HTTP. (An empty line before a request belongs to that request; RFC 9112 section
//       2.2.)
//   I3  Memory: at most max_header_bytes while the header is incomplete, at most max_body more
//       after it, and of the body only for the bytes that have come.
//   I4  Until its header is whole a request is nothing but its raw bytes: Beast gets whole headers
//       only.
class RequestReader {
 public:
  enum class Status : uint8_t {
    need_more,
    complete,
    failed,
    header,  // if tell_header is set: it is whole, and its body has not all come. Returned once, before any of the body
             // is taken: request() has all but the body, which is taken by the next feed()
  };

  explicit RequestReader(const RequestLimits& limits);
  ~RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;

  // Takes as much of `bytes` as belongs to the current request; `*consumed` is that length.
  // After complete (until reset()) and after failed (for good) it takes nothing and answers the
  // same.
  Status feed(std::string_view bytes, size_t* consumed);
  Request& request();  // after complete and header
  void reset();        // for the next request of the connection
  // After failed: 400 malformed, 413 body too large, 431 header too large or too many, 501 unknown
  // transfer coding, 505 not HTTP/1.x; and one sentence.
  int error_status() const;
  std::string_view error_text() const;
  // Bytes of a header or body have come, but not all.
  bool started() const;
  // While feed() says need_more, and after complete: bytes that bring a fresh reader with the same limits to where this one stands.
  // (Not byte for byte the input: a body in chunks is given as one, lines of a trailer shorter.)
  std::string replay() const;
  // The header is whole, nothing of the body has come, and the client waits for "100 Continue"
  // before it sends it. The owner of the connection answers, once.
  bool wants_continue() const;
  // After header: nobody wants this request. Its body is passed over and not kept, and the next request begins after it.
  // Only if its length was announced: body_announced().
  void skip_body();
  std::optional<uint64_t> body_announced() const;  // empty: in chunks
  // After header: this request's body may have so many bytes at most. False: it was announced with more.
  [[nodiscard]] bool limit_body(size_t max_bytes);
  // Bytes that are still to be passed over, for a successor: a fresh reader gets the same by skip().
  uint64_t skipping() const;
  void skip(uint64_t bytes);
  // Bytes allocated for the input of a request that is not complete.
  size_t held_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string_view reason_phrase(int status);
// "Name: value\r\n". Control characters in the value become blanks; a name that is no token gives
// "". No value, wherever it came from, can begin another header line.
std::string header_line(std::string_view name, std::string_view value);
// Appends complete header lines; any that is not "Name: value\r\n" is left out, above all an empty
// line.
void append_header_lines(std::string& head, std::string_view lines);
// A whole answer: status line, Content-Type ("" for none), Content-Length, Connection, extra header
// lines ("Name: value\r\n"), body. 1xx, 204 and 304 have neither body nor length.
std::string make_response(int status, std::string_view content_type, std::string_view body,
                          bool keep_alive, std::string_view extra_headers = {});

}  // namespace holdfast::http
