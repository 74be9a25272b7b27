// Answers of the API as holdfast-bench understands them.
#include "bench/load/api_client.h"

#include <gtest/gtest.h>

namespace holdfast::bench {
namespace {

TEST(ApiAnswer, PipelinedAnswersAreTakenOneByOne) {
  std::string one = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"delivered\":7}";
  ApiAnswer answer;
  for (size_t n = 0; n < one.size(); ++n)
    EXPECT_EQ(read_http_answer(std::string_view(one).substr(0, n), &answer), 0u) << n;
  EXPECT_EQ(read_http_answer(one + one, &answer), one.size());
  EXPECT_TRUE(answer.readable);
  EXPECT_EQ(answer.delivered, 7u);
  EXPECT_TRUE(answer.whole);
}

ApiAnswer judged(int status, const std::string& body) {
  ApiAnswer answer;
  read_http_answer("HTTP/1.1 " + std::to_string(status) +
                       " X\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
                   &answer);
  return answer;
}

TEST(ApiAnswer, WhatIsLeftOutIsAFailure) {
  EXPECT_TRUE(judged(200, R"({"delivered":1,"unknown":[]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":0,"unknown":["ab"]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"failed":["ab"]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"workers_failed":1})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"partial":true})").whole);
  EXPECT_FALSE(judged(503, R"({"error":{}})").whole);
}

TEST(ApiAnswer, WhatIsNotHttpIsNotReadable) {
  ApiAnswer answer;
  EXPECT_GT(read_http_answer("SSH-2.0-OpenSSH\r\n\r\n", &answer), 0u);
  EXPECT_FALSE(answer.readable);
  EXPECT_GT(read_http_answer("HTTP/1.1 200 OK\r\n\r\n", &answer), 0u);
  EXPECT_FALSE(answer.readable) << "without a length";
}

}  // namespace
}  // namespace holdfast::bench
