#include "wire/http/request_writer.h"

#include <gtest/gtest.h>

#include "wire/http/request.h"

namespace holdfast::http {
namespace {

// What the server reads of it.
Request read(const std::string& bytes) {
  RequestReader reader({.max_body = 1000});
  size_t consumed = 0;
  EXPECT_EQ(reader.feed(bytes, &consumed), RequestReader::Status::complete) << bytes;
  EXPECT_EQ(consumed, bytes.size());
  return reader.request();
}

TEST(RequestWriter, NamesInPathsAreEncodedByteByByte) {
  EXPECT_EQ(percent_encode("a-Z_0.9~"), "a-Z_0.9~");
  EXPECT_EQ(percent_encode("a b/?&+%\xc3\xbc"), "a%20b%2F%3F%26%2B%25%C3%BC");
  std::string all;
  for (int c = 0; c < 256; ++c) all += char(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
}

TEST(RequestWriter, RequestIsComplete) {
  EXPECT_EQ(make_request({.target = "/a?b=c", .host = "h"}),
            "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(make_request({.method = "POST",
                          .target = "/v1/send",
                          .host = "localhost",
                          .content_type = "application/json",
                          .extra_headers = "Connection: close\r\n"},
                         "{}"),
            "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(RequestWriter, OnlyAGetMayBeWithoutLength) {
  EXPECT_EQ(read(make_request({.method = "POST", .host = "h"})).header("Content-Length"), "0");
  EXPECT_FALSE(read(make_request({.method = "HEAD", .host = "h"})).header("Content-Length"));
  EXPECT_EQ(read(make_request({.method = "GET", .host = "h"}, "abc")).body, "abc");
}

TEST(RequestWriter, NothingInItCanBeginAnotherLine) {
  Request request = read(make_request({.target = "/a b\r\nX: y\r\n\r\n\xff\x7f",
                                       .host = "h\r\nX: y",
                                       .content_type = "t\r\nX: y",
                                       .extra_headers = "A: 1\r\n\r\nB: 2\r\nno line"}));
  EXPECT_EQ(request.target, "/a%20b%0D%0AX:%20y%0D%0A%0D%0A%FF%7F");
  EXPECT_EQ(request.header("Host"), "h  X: y");
  EXPECT_EQ(request.header("B"), "2");
  EXPECT_FALSE(request.header("X"));
}

}  // namespace
}  // namespace holdfast::http
