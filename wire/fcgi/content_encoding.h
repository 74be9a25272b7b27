// wire/fcgi/content_encoding.h - answers that the application, or its PHP, has compressed. Pure bytes.
//
// HTTP_ACCEPT_ENCODING is not among the parameters, so an answer has no reason to come encoded (RFC 9110 section 12.5.3);
// some do all the same, and clients cannot distinguish such bytes from a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::fcgi {

enum class Decoding : uint8_t {
  none,       // there is no Content-Encoding, or "identity"
  undone,     // the body is what was encoded; Content-Encoding and Content-Length are gone
  unknown,    // another than gzip, x-gzip and deflate, or several
  broken,     // no such bytes
  too_large,  // longer than `max_bytes`
};
// RFC 9110 section 8.4.1: gzip (RFC 1952), deflate (RFC 1950; bare RFC 1951 as some send it). Body and headers are changed only
// if it is undone.
Decoding undo_content_encoding(std::vector<std::pair<std::string, std::string>>& headers,
                               std::string& body, size_t max_bytes);

}  // namespace holdfast::fcgi
