#include "worker/api/auth.h"

#include <gtest/gtest.h>

namespace holdfast::api {
namespace {

using Tokens = std::vector<std::string>;

http::Request with_header(std::string name, std::string value) {
  http::Request request;
  request.headers.push_back({std::move(name), std::move(value)});
  return request;
}

Access with_authorization(const Tokens& tokens, std::string value) {
  return judge_access(tokens, with_header("Authorization", std::move(value)));
}

TEST(SameSecret, HoldsForEqualTextsOnly) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "abcd"));
  EXPECT_FALSE(same_secret("abc", std::string_view("abc\0", 4)));
  EXPECT_FALSE(same_secret("", "a"));
}

TEST(Access, IsGrantedToAnyOfTheTokens) {
  Tokens tokens = {"first", "second"};
  EXPECT_EQ(with_authorization(tokens, "Bearer first"), Access::granted);
  EXPECT_EQ(with_authorization(tokens, "Bearer second"), Access::granted);
  EXPECT_EQ(with_authorization(tokens, "bearer  second"), Access::granted);
}

TEST(Access, IsRefusedWithoutAFittingToken) {
  Tokens tokens = {"first", "second"};
  EXPECT_EQ(judge_access(tokens, {}), Access::unauthorized);
  for (const char* value : {"", "first", "Bearer", "Bearer ", "Bearer firs", "Bearer firstt",
                            "Bearer first second", "Bearer FIRST", "Basic first", "Bearerfirst"})
    EXPECT_EQ(with_authorization(tokens, value), Access::unauthorized) << value;
}

TEST(Access, WithoutTokensIsGrantedToProgramsAndRefusedToWebPages) {
  EXPECT_EQ(judge_access({}, {}), Access::granted);
  EXPECT_EQ(judge_access({}, with_header("origin", "https://evil.example")),
            Access::browser_refused);
  EXPECT_EQ(judge_access({}, with_header("Origin", "null")), Access::browser_refused);
}

TEST(Access, WithATokenIsGrantedWhateverTheOrigin) {
  http::Request request = with_header("Authorization", "Bearer t");
  request.headers.push_back({"Origin", "https://app.example"});
  EXPECT_EQ(judge_access({"t"}, request), Access::granted);
}

}  // namespace
}  // namespace holdfast::api
