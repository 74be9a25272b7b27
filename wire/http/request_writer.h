// wire/http/request_writer.h - HTTP/1.1 requests to bytes: the client's side.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::http {

// `text` as one component of a path or a query: all but letters, digits and -._~ as %XX (RFC 3986, section 2.3).
std::string percent_encode(std::string_view text);

struct RequestHead {
  std::string_view method = "GET";
  std::string_view target =
      "/";  // path and query, encoded; a byte that cannot stand there becomes %XX
  std::string_view host;
  std::string_view content_type = {};   // "": none
  std::string_view extra_headers = {};  // whole lines, "Name: value\r\n"; others are left out
};

// A whole request. Content-Length is written if there is a body, and always if the method is none of GET and HEAD.
std::string make_request(const RequestHead& head, std::string_view body = {});

}  // namespace holdfast::http
