// tests/unit/wire/http/read_requests.h - reads pieces of bytes and writes down the requests and errors
// found.
#pragma once

#include <string>
#include <string_view>

#include "tests/unit/every_division.h"
#include "wire/http/request.h"

namespace holdfast::test {

inline std::string described(const http::Request& request) {
  std::string text = request.method + ' ' + request.target;
  text += request.version_11 ? " 1.1" : " 1.0";
  text += request.keep_alive ? " keep" : " close";
  for (const http::Header& header : request.headers)
    if (header.name != "Host") text += " [" + header.name + '=' + header.value + ']';
  if (!request.body.empty()) text += " {" + request.body + '}';
  return text;
}

// Reads until failure; each complete request is followed by reset().
inline Told read_requests(const Pieces& pieces, const http::RequestLimits& limits) {
  http::RequestReader reader(limits);
  Told told;
  for (const std::string& piece : pieces) {
    std::string_view rest = piece;
    while (!rest.empty()) {
      size_t consumed = 0;
      auto status = reader.feed(rest, &consumed);
      rest.remove_prefix(consumed);
      if (status == http::RequestReader::Status::failed) {
        told.push_back(std::to_string(reader.error_status()) + ' ' +
                       std::string(reader.error_text()));
        return told;
      }
      if (status == http::RequestReader::Status::need_more) {
        EXPECT_TRUE(rest.empty()) << "need_more leaves nothing";
        break;
      }
      told.push_back(described(reader.request()));
      reader.reset();
    }
  }
  return told;
}

inline void expect_read(const std::string& bytes, const Told& expected,
                        const http::RequestLimits& limits = {.max_body = 1000}) {
  expect_told(bytes, expected, [&](const Pieces& pieces) { return read_requests(pieces, limits); });
}

}  // namespace holdfast::test
