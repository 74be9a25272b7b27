#include "worker/api/auth.h"

#include <gtest/gtest.h>

namespace holdfast::api {
namespace {

using Tokens = std::vector<conf::Token>;
constexpr unsigned kPush = conf::kScopePush, kQuery = conf::kScopeQuery, kAdmin = conf::kScopeAdmin;

http::Request with_header(std::string name, std::string value) {
  http::Request request;
  request.headers.push_back({std::move(name), std::move(value)});
  return request;
}

Access with_authorization(const Tokens& tokens, std::string value, unsigned scopes = kPush) {
  return judge_access(tokens, with_header("Authorization", std::move(value)), scopes);
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
  Tokens tokens = {{"first"}, {"second"}};
  EXPECT_EQ(with_authorization(tokens, "Bearer first"), Access::granted);
  EXPECT_EQ(with_authorization(tokens, "Bearer second"), Access::granted);
  EXPECT_EQ(with_authorization(tokens, "bearer  second"), Access::granted);
}

TEST(Access, IsRefusedWithoutAFittingToken) {
  Tokens tokens = {{"first"}, {"second"}};
  EXPECT_EQ(judge_access(tokens, {}, kPush), Access::unauthorized);
  for (const char* value : {"", "first", "Bearer", "Bearer ", "Bearer firs", "Bearer firstt",
                            "Bearer first second", "Bearer FIRST", "Basic first", "Bearerfirst"})
    EXPECT_EQ(with_authorization(tokens, value), Access::unauthorized) << value;
}

TEST(Access, WithoutTokensIsGrantedToProgramsAndRefusedToWebPages) {
  EXPECT_EQ(judge_access({}, {}, kPush | kQuery | kAdmin), Access::granted);
  EXPECT_EQ(judge_access({}, with_header("origin", "https://evil.example"), kPush),
            Access::browser_refused);
  EXPECT_EQ(judge_access({}, with_header("Origin", "null"), kPush), Access::browser_refused);
}

// ---- Host

conf::Api on(const char* address) {
  conf::Api api;
  api.address = *conf::parse_address(address);
  return api;
}

TEST(Host, OfALoopbackListenerWithoutATokenMustBeOurs) {
  conf::Api api = on("127.0.0.1:8081");
  api.hosts = {"push.internal"};
  for (const char* host : {"127.0.0.1", "127.0.0.1:8081", "127.9.9.9", "[::1]", "[::1]:8081",
                           "localhost", "LocalHost:80", "push.internal", "Push.Internal:443"})
    EXPECT_FALSE(foreign_host(api, with_header("Host", host))) << host;
  for (const char* host :
       {"", "evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example",
        "10.0.0.1", "[2001:db8::1]:80", "[::1", "[::1]evil.example", "0.0.0.0",
        "push.internal.evil", "localhos", "127.0.0.1@evil.example"})
    EXPECT_EQ(foreign_host(api, with_header("host", host)), host) << host;
  EXPECT_FALSE(foreign_host(api, {})) << "HTTP/1.0; no browser leaves it out";
}

TEST(Host, InTheTargetCountsToo) {
  conf::Api api = on("[::1]:8081");
  http::Request request = with_header("Host", "localhost");
  request.target = "http://evil.example:8081/v1/stats?a=://localhost";
  EXPECT_EQ(foreign_host(api, request), "evil.example:8081");
  request.target = "http://user@localhost:8081/v1/stats";
  EXPECT_FALSE(foreign_host(api, request));
  request.target = "/v1/users/http://evil.example/";
  EXPECT_FALSE(foreign_host(api, request));
}

TEST(Host, IsNotAskedWhereNoPageComesOrSomethingIsShown) {
  http::Request request = with_header("Host", "evil.example");
  EXPECT_FALSE(foreign_host(on("unix:/run/api.sock"), request));
  conf::Api with_token = on("127.0.0.1:8081"), with_ca = on("127.0.0.1:8081");
  with_token.tokens = {{"secret"}};
  with_ca.client_ca = "some PEM";
  EXPECT_FALSE(foreign_host(with_token, request));
  EXPECT_FALSE(foreign_host(with_ca, request));
}

TEST(Access, WithATokenIsGrantedWhateverTheOrigin) {
  http::Request request = with_header("Authorization", "Bearer t");
  request.headers.push_back({"Origin", "https://app.example"});
  EXPECT_EQ(judge_access({{"t"}}, request, kPush), Access::granted);
}

TEST(Access, IsForbiddenToATokenWithoutTheScope) {
  Tokens tokens = {
      {"pusher", kPush}, {"asker", kQuery}, {"both", kPush | kQuery}, {"root", kAdmin}};
  struct Row {
    const char* token;
    unsigned scopes;  // that it has
  };
  for (const Row& row : {Row{"pusher", kPush}, Row{"asker", kQuery}, Row{"both", kPush | kQuery},
                         Row{"root", conf::kAllScopes}}) {
    EXPECT_EQ(scopes_of(tokens, row.token), row.scopes) << row.token;
    for (unsigned wanted = 0; wanted <= conf::kAllScopes; ++wanted)
      EXPECT_EQ(with_authorization(tokens, std::string("Bearer ") + row.token, wanted),
                (row.scopes & wanted) == wanted ? Access::granted : Access::forbidden)
          << row.token << " for " << wanted;
  }
  EXPECT_EQ(scopes_of(tokens, "nobody"), 0u);
  EXPECT_EQ(with_authorization(tokens, "Bearer nobody", 0), Access::unauthorized);
}

TEST(Access, OfAKnownTokenIsWhatItWasAndOfAnotherOneJudgedAnew) {
  Tokens tokens = {{"pusher", kPush}, {"asker", kQuery}};
  KnownToken known;
  auto judge = [&](const char* token, unsigned scopes) {
    return judge_access(tokens, with_header("Authorization", std::string("Bearer ") + token),
                        scopes, &known);
  };
  EXPECT_EQ(judge("nobody", kPush), Access::unauthorized);
  EXPECT_EQ(known.scopes, 0u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(judge("pusher", kPush), Access::granted);
    EXPECT_EQ(judge("pusher", kQuery), Access::forbidden);
    EXPECT_EQ(judge("pushes", kPush), Access::unauthorized);
    EXPECT_EQ(judge("", kPush), Access::unauthorized);
    EXPECT_EQ(judge("asker", kQuery), Access::granted);
    EXPECT_EQ(judge("asker", kPush), Access::forbidden);
  }
}

TEST(Access, NamesTheScopes) {
  EXPECT_EQ(scope_names(kPush), "push");
  EXPECT_EQ(scope_names(conf::kAllScopes), "push, query, admin");
}

}  // namespace
}  // namespace holdfast::api
