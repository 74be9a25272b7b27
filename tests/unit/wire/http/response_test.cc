#include <gtest/gtest.h>

#include "wire/http/request.h"

namespace holdfast::http {
namespace {

TEST(Response, IsComplete) {
  EXPECT_EQ(make_response(200, "application/json", "{}", true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "Connection: keep-alive\r\n\r\n{}");
  EXPECT_EQ(make_response(503, "text/plain", "full\n", false, "Retry-After: 3\r\nX: y\r\n"),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
            "Connection: close\r\nRetry-After: 3\r\nX: y\r\n\r\nfull\n");
  EXPECT_EQ(make_response(404, "", "", false),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(Response, HasNeitherBodyNorLengthWhereTheStatusForbidsThem) {
  for (int status : {204, 304}) {
    std::string text = make_response(status, "", "body", true);
    EXPECT_EQ(text.find("Content-Length"), text.npos) << status;
    EXPECT_TRUE(text.ends_with("\r\n\r\n")) << status;
  }
}

TEST(Response, EveryStatusHasAPhrase) {
  EXPECT_EQ(reason_phrase(101), "Switching Protocols");
  EXPECT_EQ(reason_phrase(413), "Content Too Large");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(418), "Client Error");
  EXPECT_EQ(reason_phrase(599), "Server Error");
  for (int status = 100; status < 600; ++status) EXPECT_FALSE(reason_phrase(status).empty());
}

TEST(Response, NoValueCanBeginAnotherHeaderLine) {
  EXPECT_EQ(header_line("X", "a\r\nSet-Cookie: b"), "X: a  Set-Cookie: b\r\n");
  EXPECT_EQ(header_line("X", std::string_view("a\0b\tc", 5)), "X: a b\tc\r\n");
  EXPECT_EQ(header_line("X\r\nY", "a"), "");
  EXPECT_EQ(header_line("", "a"), "");
  EXPECT_EQ(header_line("X:", "a"), "");
  std::string text = make_response(200, "text/html\r\nX: y", "", true);
  EXPECT_EQ(text.find("\r\nX"), text.npos);
}

TEST(Response, OnlyWholeHeaderLinesAreAppended) {
  struct Row {
    const char *lines, *kept;
  };
  const Row rows[] = {
      {"A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"},
      {"", ""},
      {"A: 1", ""},               // not ended
      {"A: 1\r\nB", "A: 1\r\n"},  // not ended
      {"A: 1\r\n\r\nbody\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"},
      {"A: 1\nB: 2\r\nC: 3\r\n", "C: 3\r\n"},  // LF alone
      {"A: 1\r\n folded: 2\r\n", "A: 1\r\n"},  // a name cannot begin with a blank
      {": 1\r\nno colon\r\nA : 1\r\nA: 2\r\n", "A: 2\r\n"},
  };
  for (const Row& row : rows) {
    std::string head;
    append_header_lines(head, row.lines);
    EXPECT_EQ(head, row.kept) << row.lines;
  }
}

}  // namespace
}  // namespace holdfast::http
