// Which headers an application sees, and which make a request doubtful.
#include "wire/http/passed_headers.h"

#include <gtest/gtest.h>

namespace holdfast::http {
namespace {

Request with(std::vector<Header> headers) {
  Request request;
  request.headers = std::move(headers);
  return request;
}

std::string passed(std::vector<Header> headers) {
  std::string text;
  for (const Header& header : passed_headers(with(std::move(headers))))
    text += header.name + ": " + header.value + "\n";
  return text;
}

TEST(PassedHeaders, ArePlainNamesInTheirOrder) {
  EXPECT_EQ(passed({{"Host", "a"}, {"X-Real-IP2", "b"}, {"x.y", "c"}, {"x_y", "d"}, {"", "e"}}),
            "Host: a\nX-Real-IP2: b\n");
}

TEST(PassedHeaders, LinesOfOneNameAreOneHeader) {
  EXPECT_EQ(
      passed({{"Accept", "a"}, {"Host", "h"}, {"ACCEPT", "b"}, {"cookie", "c"}, {"Cookie", "d"}}),
      "Accept: a, b\nHost: h\ncookie: c; d\n");
}

TEST(PassedHeaders, WhatWouldBeTakenForSomethingElseIsLeftOut) {
  EXPECT_EQ(passed({{"Proxy", "a"}, {"content-LENGTH", "1"}, {"Content-Type", "b"}}), "");
}

TEST(DoubtfulHeader, IsOneThatAnApplicationCannotTellFromAnother) {
  using Lines = std::vector<Header>;
  const std::pair<Lines, std::string_view> cases[] = {
      {{{"X-User", "a"}, {"X.User", "b"}}, "X.User"},
      {{{"x_user", "a"}, {"X-User", "b"}}, "x_user"},
      {{{"X~User", "a"}, {"X!User", "b"}}, "X!User"},
      {{{"Authorization", "a"}, {"authorization", "b"}}, "Authorization"},
      {{{"X.User", "a"}}, ""},
      {{{"Cookie", "a"}, {"cookie", "b"}, {"X-A", "c"}, {"x-a", "d"}}, ""},
      {{{"X-User", "a"}, {"X-Users", "b"}}, ""},
  };
  for (const auto& [lines, name] : cases)
    EXPECT_EQ(doubtful_header(with(lines)), name) << lines[0].name;
}

TEST(CgiName, IsUpperCaseWithUnderscores) {
  EXPECT_EQ(cgi_name("X-Forwarded-For"), "HTTP_X_FORWARDED_FOR");
  EXPECT_EQ(cgi_name("x.y9"), "HTTP_X_Y9");
}

}  // namespace
}  // namespace holdfast::http
