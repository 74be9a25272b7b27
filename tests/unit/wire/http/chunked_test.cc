#include "wire/http/chunked.h"

#include <gtest/gtest.h>

#include "tests/unit/every_division.h"

namespace holdfast::test {
namespace {

using http::ChunkedReader;

// The body, then "done" and what is left, or "more".
Told read_body(const Pieces& pieces) {
  ChunkedReader reader(1000, 1000);
  std::string body, left;
  bool done = false;
  for (const std::string& piece : pieces) {
    size_t consumed = 0;
    if (!done) {
      auto status = reader.feed(piece, body, &consumed);
      if (status != ChunkedReader::Status::complete && status != ChunkedReader::Status::need_more)
        return {"failed"};
      done = status == ChunkedReader::Status::complete;
    }
    left += piece.substr(consumed);
  }
  return {body, done ? "done" : "more", left};
}

TEST(Chunked, JoinsChunks) {
  expect_told("4\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\n\r\n",
              {"Wikipedia in\r\n\r\nchunks.", "done", ""}, read_body);
}

TEST(Chunked, ReadsDigitsInAnyCaseAndLeadingZeros) {
  expect_told("0000a\r\n0123456789\r\nA\r\nabcdefghij\r\n000\r\n\r\n",
              {"0123456789abcdefghij", "done", ""}, read_body);
}

TEST(Chunked, DropsExtensionsAndTrailers) {
  expect_told("3;a=b;c=\"d;e\"\r\nabc\r\n0;last\r\nX: y\r\nContent-Length: 7\r\n\r\n",
              {"abc", "done", ""}, read_body);
}

TEST(Chunked, LeavesWhatComesBehind) {
  expect_told("1\r\nx\r\n0\r\n\r\n\r\nGET", {"x", "done", "\r\nGET"}, read_body);
}

TEST(Chunked, IsNotDoneBeforeTheLastByte) {
  std::string bytes = "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(read_body({bytes.substr(0, n)})[1], "more") << n;
}

}  // namespace
}  // namespace holdfast::test
