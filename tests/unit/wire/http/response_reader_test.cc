// Answers of HTTP/1.1 servers, however the network cuts them.
#include "wire/http/response_reader.h"

#include <gtest/gtest.h>

#include "tests/unit/every_division.h"
#include "wire/http/request.h"

namespace holdfast::test {
namespace {

using http::ResponseReader;
using Status = ResponseReader::Status;

constexpr http::ResponseLimits kLimits{.max_head_bytes = 300, .max_body = 20};

// Each answer as "200 [name=value|...] body"; after them what is unfinished or wrong. The connection ends behind the bytes.
Told read_answers(const Pieces& pieces) {
  Told told;
  ResponseReader reader(kLimits);
  auto tell = [&](Status status) {
    if (status == Status::failed) told.push_back("failed: " + std::string(reader.error_text()));
    if (status != Status::complete) return;
    const http::Response& answer = reader.response();
    std::string text = std::to_string(answer.head.status) + " [";
    http::HeaderView header;
    for (http::HeaderLines lines(answer.lines); lines.next(&header);)
      text.append(header.name).append("=").append(header.value).append("|");
    told.push_back(text + "] " + answer.body);
    reader.reset();
  };
  for (const std::string& piece : pieces) {
    std::string_view left = piece;
    while (!left.empty()) {
      size_t consumed = 0;
      Status status = reader.feed(left, &consumed);
      left.remove_prefix(consumed);
      tell(status);
      if (status == Status::failed) return told;
    }
  }
  if (reader.started()) tell(reader.end());
  return told;
}

void expect_answers(const std::string& bytes, const Told& expected) {
  SCOPED_TRACE(bytes.substr(0, 80));
  expect_told(bytes, expected, read_answers);
}

// An answer without body behind the header.
std::string ok(const std::string& headers) {
  return "HTTP/1.1 200 OK\r\n" + headers + "\r\n";
}

TEST(ResponseReader, BodyHasItsAnnouncedLength) {
  expect_answers("HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\ncontent-length:  2 \r\n\r\n{}",
                 {"404 [Content-Type=a/b|content-length=2|] {}"});
  expect_answers(ok("Content-Length: 0\r\n"), {"200 [Content-Length=0|] "});
  expect_answers(ok("Content-Length: 3\r\n") + "ab", {"failed: it ended early"});
}

TEST(ResponseReader, BodyInChunksIsJoined) {
  expect_answers(ok("transfer-encoding: Chunked\r\n") +
                     "5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
                 {"200 [transfer-encoding=Chunked|] hello world"});
  for (const char* end : {"5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"})
    expect_answers(ok("Transfer-Encoding: chunked\r\n") + end, {"failed: it ended early"});
}

TEST(ResponseReader, BytesThatAreNoChunksAreRefused) {
  for (const char* bytes :
       {"x\r\n", "\r\n", ";\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\rX", "-1\r\n", " 5\r\n"})
    expect_answers(ok("Transfer-Encoding: chunked\r\n") + bytes, {"failed: malformed chunks"});
}

TEST(ResponseReader, BodyWithoutLengthEndsWithTheConnection) {
  expect_answers(ok("") + "abc", {"200 [] abc"});
  expect_answers(ok("X: y\r\n"), {"200 [X=y|] "});
  expect_answers("HTTP/1.0 500\r\n\r\nabc", {"500 [] abc"});
}

TEST(ResponseReader, SomeStatusesHaveNoBody) {
  for (const char* line : {"204 No Content", "304 Not Modified", "101 Switching Protocols"}) {
    std::string bytes = "HTTP/1.1 " + std::string(line) + "\r\nContent-Length: 5\r\n\r\n";
    Told expected = {std::string(line, 3) + " [Content-Length=5|] "};
    expect_answers(bytes, expected);
    expected.emplace_back("200 [] x");
    expect_answers(bytes + ok("") + "x", expected);
  }
}

TEST(ResponseReader, AnswersOneBehindTheOtherAreReadOneByOne) {
  std::string one = ok("Content-Length: 2\r\n") + "ab";
  std::string chunked = ok("Transfer-Encoding: chunked\r\n") + "1\r\nc\r\n0\r\n\r\n";
  expect_answers(one + chunked + one + "HTTP/1",
                 {"200 [Content-Length=2|] ab", "200 [Transfer-Encoding=chunked|] c",
                  "200 [Content-Length=2|] ab", "failed: it ended early"});
}

TEST(ResponseReader, AnswersBeforeTheOneThatCountsArePassedOver) {
  std::string early = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
  expect_answers("HTTP/1.1 100 Continue\r\n\r\n" + early + ok("Content-Length: 1\r\n") + "x",
                 {"200 [Content-Length=1|] x"});
  expect_answers(early, {"failed: it ended early"});
  std::string many;
  while (many.size() < kLimits.max_head_bytes) many += early;
  expect_answers(many, {"failed: too long a head"});
}

TEST(ResponseReader, WhatIsNoHttpIsRefusedAtItsFirstWrongByte) {
  struct Row {
    std::string_view bytes;
    size_t wrong;  // the first byte that cannot be
  };
  for (Row row :
       {Row{"SSH-2.0-x", 0}, {"HTTP/2 200 OK", 5}, {"\r\nHTTP/1.1", 0}, {"\x16\x03", 0}}) {
    ResponseReader reader(kLimits);
    size_t consumed = 0;
    EXPECT_EQ(reader.feed(row.bytes.substr(0, row.wrong), &consumed), Status::need_more);
    EXPECT_EQ(reader.feed(row.bytes.substr(row.wrong, 1), &consumed), Status::failed) << row.bytes;
    expect_answers(std::string(row.bytes), {"failed: no HTTP/1"});
  }
}

TEST(ResponseReader, StatusLineIsJudged) {
  for (const char* line : {"HTTP/1.1 20 OK", "HTTP/1.1 999 X", "HTTP/1.1 099 X", "HTTP/1.1  200",
                           "HTTP/1.1 2000", "HTTP/1.1 200OK", "HTTP/1.2 200 OK", "HTTP/1.1\t200 OK",
                           "HTTP/1.10 200", "HTTP/1.1 +20 X", "HTTP/1.1 2x0 X", "HTTP/1.1"})
    expect_answers(std::string(line) + "\r\n\r\n", {"failed: malformed status line"});
  for (const char* line : {"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 Fine \xc3\xbc"})
    expect_answers(std::string(line) + "\r\n\r\n", {"200 [] "});
}

TEST(ResponseReader, HeadersThatTwoReadersCouldUnderstandDifferentlyAreRefused) {
  struct Row {
    const char *headers, *why;
  };
  const Row rows[] = {
      {"no colon\r\n", "malformed header"},
      {": x\r\n", "malformed header"},
      {"X : y\r\n", "malformed header"},
      {"X\xc3: y\r\n", "malformed header"},
      {"X: y\r\n z\r\n", "folded header line"},
      {"X: y\nZ: z\r\n", "LF without CR in the header"},
      {"X: y\rZ: z\r\n", "CR without LF in the header"},
      {"X: \x01\r\n", "control character in the header"},
      {"Content-Length: x\r\n", "malformed Content-Length"},
      {"Content-Length:\r\n", "malformed Content-Length"},
      {"Content-Length: -1\r\n", "malformed Content-Length"},
      {"Content-Length: +1\r\n", "malformed Content-Length"},
      {"Content-Length: 1, 1\r\n", "malformed Content-Length"},
      {"Content-Length: 99999999999999999999\r\n", "malformed Content-Length"},
      {"Content-Length: 1\r\nContent-Length: 1\r\n", "more than one Content-Length"},
      {"Transfer-Encoding: gzip\r\n", "unknown transfer coding"},
      {"Transfer-Encoding: gzip, chunked\r\n", "unknown transfer coding"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
       "more than one Transfer-Encoding"},
      {"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
       "Content-Length and Transfer-Encoding together"},
  };
  for (const Row& row : rows) expect_answers(ok(row.headers), {std::string("failed: ") + row.why});
  expect_answers("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                 {"failed: Transfer-Encoding in HTTP/1.0"});
}

TEST(ResponseReader, NothingIsLongerThanItsBound) {
  std::string full = ok("X: " + std::string(kLimits.max_head_bytes - 24, 'x') + "\r\n");
  ASSERT_EQ(full.size(), kLimits.max_head_bytes);
  expect_answers(full, {"200 [X=" + std::string(kLimits.max_head_bytes - 24, 'x') + "|] "});
  expect_answers(ok("X: " + std::string(kLimits.max_head_bytes - 23, 'x') + "\r\n"),
                 {"failed: too long a head"});
  std::string most(kLimits.max_body, 'b');
  expect_answers(ok("Content-Length: 20\r\n") + most, {"200 [Content-Length=20|] " + most});
  expect_answers(ok("Content-Length: 21\r\n") + most, {"failed: too long a body"});
  expect_answers(ok("") + most, {"200 [] " + most});
  expect_answers(ok("") + most + "b", {"failed: too long a body"});
  expect_answers(ok("Transfer-Encoding: chunked\r\n") + "10\r\n0123456789abcdef\r\n5\r\n",
                 {"failed: too long a body"});
  expect_answers(ok("Transfer-Encoding: chunked\r\n") + "0\r\n" + std::string(301, 'x'),
                 {"failed: too long a line between chunks"});
}

TEST(ResponseReader, HeadIsKnownBeforeTheBodyHasCome) {
  ResponseReader reader(kLimits);
  size_t consumed = 0;
  std::string head = ok("Content-Length: 21\r\n");
  reader.feed(std::string_view(head).substr(0, head.size() - 1), &consumed);
  EXPECT_FALSE(reader.has_head());
  EXPECT_EQ(reader.feed("\n", &consumed), Status::failed);
  EXPECT_TRUE(reader.has_head()) << "its body is too long, but the head says why";
  EXPECT_EQ(reader.response().header("CONTENT-LENGTH"), "21");
  EXPECT_FALSE(reader.response().header("Content"));
}

TEST(ResponseReader, BodyThatIsTakenAsItComesNeedsNoEnd) {
  ResponseReader reader(kLimits);
  size_t consumed = 0;
  reader.feed(ok("Transfer-Encoding: chunked\r\n"), &consumed);
  for (int i = 0; i < 100; ++i) {
    std::string_view chunk = "a\r\n0123456789\r\n";
    ASSERT_EQ(reader.feed(chunk.substr(0, 5), &consumed), Status::need_more);
    ASSERT_EQ(reader.take_body(), "01");
    ASSERT_EQ(reader.feed(chunk.substr(5), &consumed), Status::need_more);
    ASSERT_EQ(reader.take_body(), "23456789");
  }
  EXPECT_EQ(reader.feed("0\r\n\r\n", &consumed), Status::complete);
}

TEST(ResponseReader, FailureStays) {
  ResponseReader reader(kLimits);
  size_t consumed = 0;
  ASSERT_EQ(reader.feed("x", &consumed), Status::failed);
  EXPECT_EQ(reader.feed(ok("Content-Length: 0\r\n"), &consumed), Status::failed);
  EXPECT_EQ(consumed, 0u);
  EXPECT_EQ(reader.end(), Status::failed);
  EXPECT_EQ(reader.error_text(), "no HTTP/1");
}

TEST(ResponseReader, ReadsWhatTheServerWrites) {
  expect_answers(http::make_response(503, "text/plain", "full\n", false, "Retry-After: 3\r\n"),
                 {"503 [Content-Type=text/plain|Content-Length=5|Connection=close|Retry-After=3|] "
                  "full\n"});
}

TEST(ResponseReader, DamagedBytesAreToldTheSameInAnyDivision) {
  DamagedBytes damaged(
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"
      "HTTP/1.0 404 N\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "\r\n :0129,;x");
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = damaged.next();
    ASSERT_EQ(read_answers({bytes}), read_answers(damaged.cut(bytes)))
        << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace holdfast::test
