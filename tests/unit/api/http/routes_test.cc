#include "worker/api/http/routes.h"

#include "shm/session_directory.h"
#include "tests/unit/api/api_harness.h"

namespace holdfast::api {
namespace {

const std::string kA = "0007000000000001aaaaaaaaaaaaaaaa";
const std::string kB = "0007000000010002bbbbbbbbbbbbbbbb";
shm::SessionId id(const std::string& text) {
  return *shm::SessionId::parse(text);
}

using HttpApi = ApiTest;

// ---- Every route with a good request

struct GoodCall {
  const char* path;
  std::string body;
  Op op;
  bool names_sessions;
};

const GoodCall kGoodCalls[] = {
    {"/v1/send", fmt::format(R"({{"sessions":["{}"],"data":"x"}})", kA), Op::send, true},
    {"/v1/send-user", R"({"users":["u"],"data":"x"})", Op::send_user, false},
    {"/v1/send-all", R"({"data":"x"})", Op::send_all, false},
    {"/v1/publish", R"({"channels":["c"],"data":"x"})", Op::publish, false},
    {"/v1/join", fmt::format(R"({{"sessions":["{}"],"channels":["c"]}})", kA), Op::join, true},
    {"/v1/join", R"({"users":["u"],"channels":["c"]})", Op::join, false},
    {"/v1/leave", fmt::format(R"({{"sessions":["{}"],"channels":["c"]}})", kA), Op::leave, true},
    {"/v1/bind", fmt::format(R"({{"session":"{}","user":"u"}})", kA), Op::bind, false},
    {"/v1/unbind", fmt::format(R"({{"session":"{}"}})", kA), Op::unbind, false},
    {"/v1/data", fmt::format(R"({{"session":"{}","merge":{{"k":"v"}}}})", kA), Op::data, false},
    {"/v1/kick", fmt::format(R"({{"sessions":["{}"]}})", kA), Op::kick, true},
    {"/v1/kick", R"({"channels":["c"]})", Op::kick, false},
};

// Every path that is only read, and is there.
const char* const kGets[] = {
    "/v1/sessions", "/v1/sessions/0007000000000001aaaaaaaaaaaaaaaa",
    "/v1/users",    "/v1/users/u",
    "/v1/channels", "/v1/channels/c/d",
    "/v1/stats",    "/v1/openapi.json",
    "/metrics",     "/healthz",
    "/readyz",
};

// Those of them that need no token.
bool is_open(std::string_view path) {
  return path == "/healthz" || path == "/readyz" || path == "/v1/openapi.json";
}

TEST_F(HttpApi, EveryCallReachesTheRouterAndAnswersWhatBecameOfIt) {
  router.next_result.delivered = 3;
  for (const GoodCall& call : kGoodCalls) {
    HttpAnswer answer = post(call.path, call.body);
    EXPECT_EQ(answer.status, 200) << call.path;
    EXPECT_EQ(router.seen.back().op, call.op) << call.path;
    EXPECT_EQ(answer.body,
              call.names_sessions ? R"({"delivered":3,"unknown":[]})" : R"({"delivered":3})")
        << call.path;
    EXPECT_TRUE(answer.has("Content-Type: application/json")) << answer.head;
    EXPECT_TRUE(answer.has("Holdfast-Worker: 1")) << answer.head;
    EXPECT_TRUE(answer.has(fmt::format("Content-Length: {}", answer.body.size()))) << answer.head;
  }
  EXPECT_EQ(router.seen.size(), std::size(kGoodCalls));
  EXPECT_EQ(segment.stats(1).api_requests.get(), std::size(kGoodCalls));
  EXPECT_EQ(segment.stats(1).api_errors.get(), 0u);
}

TEST_F(HttpApi, BadBodyReachesNobody) {
  for (const GoodCall& call : kGoodCalls) {
    for (const std::string& body : {std::string(), std::string("{}x"), call.body + ",",
                                    call.body.substr(0, call.body.size() - 1) + R"(,"x":1})"}) {
      HttpAnswer answer = post(call.path, body);
      EXPECT_EQ(answer.status, 400) << call.path << body;
      EXPECT_TRUE(answer.has("Holdfast-Worker: 1")) << answer.head;
    }
  }
  EXPECT_TRUE(router.seen.empty());
  EXPECT_EQ(segment.stats(1).api_errors.get(), 4 * std::size(kGoodCalls));
}

TEST_F(HttpApi, OversizedDataIs413AndReachesNobody) {
  HttpAnswer answer =
      post("/v1/send-all", fmt::format(R"({{"data":"{}"}})", std::string(1001, 'x')));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(error_code(answer), "too_large");
  EXPECT_TRUE(router.seen.empty());
}

// The router could not hand it to another worker, so nobody gets it, wherever the sessions are.
TEST_F(HttpApi, CommandThatFitsNoMailboxRecordIs413) {
  std::string channels;
  for (int i = 0; i < 200; ++i) channels += fmt::format("{}\"{:0>200}\"", i == 0 ? "" : ",", i);
  HttpAnswer answer =
      post("/v1/publish", fmt::format(R"({{"channels":[{}],"data":"x"}})", channels));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(error_code(answer), "too_large");
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(HttpApi, UnknownSessionsAreListedForSendAndA404ForBind) {
  router.next_result.unknown = {id(kB)};
  HttpAnswer answer = post("/v1/send", fmt::format(R"({{"sessions":["{}"],"data":"x"}})", kB));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"delivered":0,"unknown":[")" + kB + R"("]})");
  answer = post("/v1/bind", fmt::format(R"({{"session":"{}","user":"u"}})", kB));
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(error_code(answer), "unknown_session");
}

TEST_F(HttpApi, FullMailboxesAre503) {
  router.next_result.workers_failed = 1;
  HttpAnswer answer = post("/v1/publish", R"({"channels":["c"],"data":"x"})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(error_code(answer), "overloaded");
  EXPECT_EQ(segment.stats(1).api_errors.get(), 1u);
}

TEST_F(HttpApi, UnbindOfAUserChecksWhoTheSessionIsBoundTo) {
  shm::Slab slab(segment.directory(), 1, 7, segment.stats(1).slab_high_water);
  shm::SessionId mine = *slab.claim({});
  slab.set_state(mine, shm::SessionState::open);
  slab.set_user(mine, "alice");

  HttpAnswer answer =
      post("/v1/unbind", fmt::format(R"({{"session":"{}","user":"bob"}})", mine.hex()));
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(error_code(answer), "other_user");
  EXPECT_TRUE(router.seen.empty());

  answer = post("/v1/unbind", fmt::format(R"({{"session":"{}","user":"alice"}})", mine.hex()));
  EXPECT_EQ(answer.status, 200);
  ASSERT_EQ(router.seen.size(), 1u);
  EXPECT_TRUE(router.seen[0].users.empty());  // to the router it would be an addressee

  // Sessions that do not exist, inside and outside the directory, are the router's to judge.
  for (const char* unknown :
       {"0007000000000001aaaaaaaaaaaaaaaa", "0007ffffffff0001aaaaaaaaaaaaaaaa"})
    post("/v1/unbind", fmt::format(R"({{"session":"{}","user":"bob"}})", unknown));
  EXPECT_EQ(router.seen.size(), 3u);
}

// ---- Waiting

TEST_F(HttpApi, AnswersWhenTheRouterHasCounted) {
  router.hold = true;
  ask({.method = "POST", .target = "/v1/send-all", .body = R"({"data":"x"})"});
  EXPECT_TRUE(replies.empty());
  router.release({.delivered = 9, .partial = true});
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(parse_answer(replies[0]).body, R"({"delivered":9,"partial":true})");
}

// Pushes may be under way together; what others may depend on, and long lists, hold back what
// follows.
TEST_F(HttpApi, ChangesBatchesAndListsHoldBackWhatFollows) {
  for (const GoodCall& call : kGoodCalls)
    EXPECT_EQ(ask({.method = "POST", .target = call.path, .body = call.body}),
              changes_state(call.op) ? Behind::nothing : Behind::anything)
        << call.path;
  EXPECT_EQ(ask({.method = "POST", .target = "/v1/batch", .body = "{}"}), Behind::nothing);
  for (const char* path : kGets) {
    bool list = std::string_view(path) == "/v1/users" || std::string_view(path) == "/v1/channels";
    EXPECT_EQ(ask({.method = "GET", .target = path}), list ? Behind::nothing : Behind::anything)
        << path;
  }
}

TEST_F(HttpApi, KeepsTheConnectionOpenOnlyIfAsked) {
  http::Request request{.method = "GET", .target = "/healthz"};
  EXPECT_FALSE(answer_to(request).has("Connection: close"));
  request.keep_alive = false;
  EXPECT_TRUE(answer_to(request).has("Connection: close"));
}

// ---- Routes

TEST_F(HttpApi, UnknownPathIs404) {
  for (const char* path : {"/", "/v1", "/v1/", "/v1/nothing", "/v1/send/", "/V1/send", "/send",
                           "/v2/send", "/v1/list-channels", "/v1/get-session", "/healthz/",
                           "/v1//send", "/v1/stats/", "/v1/trace/", "/v1/sessionsx", "*", ""}) {
    HttpAnswer answer = post(path, R"({"data":"x"})");
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(error_code(answer), "not_found") << path;
  }
}

TEST_F(HttpApi, WrongMethodIs405AndNamesTheRightOnes) {
  for (const char* path :
       {"/v1/send", "/v1/send-user", "/v1/send-all", "/v1/publish", "/v1/join", "/v1/leave",
        "/v1/bind", "/v1/unbind", "/v1/data", "/v1/kick", "/v1/batch"}) {
    for (const char* method : {"GET", "HEAD", "PUT", "OPTIONS", "post"}) {
      HttpAnswer answer = answer_to({.method = method, .target = path});
      EXPECT_EQ(answer.status, 405) << method << path;
      EXPECT_TRUE(answer.has("Allow: POST")) << answer.head;
    }
  }
  for (const char* path : kGets) {
    HttpAnswer answer = post(path, "{}");
    EXPECT_EQ(answer.status, 405) << path;
    EXPECT_EQ(error_code(answer), "method_not_allowed");
    EXPECT_TRUE(answer.has("Allow: GET, HEAD")) << answer.head;
  }
  for (const char* method : {"HEAD", "POST"})
    EXPECT_TRUE(answer_to({.method = method, .target = "/v1/trace?channel=c"}).has("Allow: GET"));
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(HttpApi, HeadIsTheHeaderOfGetWithoutItsBody) {
  for (const char* path : {"/v1/channels", "/healthz", "/readyz", "/v1/nothing"}) {
    HttpAnswer got = get(path);
    HttpAnswer head = answer_to({.method = "HEAD", .target = path});
    EXPECT_EQ(head.status, got.status) << path;
    EXPECT_EQ(head.head, got.head) << path;
    EXPECT_EQ(head.body, "") << path;
    EXPECT_NE(got.body, "") << path;
  }
}

TEST_F(HttpApi, IsAliveWhileDrainingButNotReady) {
  EXPECT_EQ(get("/healthz").body, R"({"status":"ok"})");
  EXPECT_EQ(get("/readyz").status, 200);
  draining = true;
  EXPECT_EQ(get("/healthz").status, 200);
  HttpAnswer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(error_code(answer), "draining");
}

TEST_F(HttpApi, ServesStatsAndMetrics) {
  EXPECT_TRUE(get("/v1/stats").body.starts_with(R"({"instance":"api-test-)"));
  HttpAnswer metrics = get("/metrics");
  EXPECT_TRUE(metrics.has("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  EXPECT_TRUE(metrics.body.starts_with("# HELP ")) << metrics.body.substr(0, 100);
}

// ---- Who may

TEST_F(HttpApi, WithTokensEverythingButHealthNeedsOne) {
  api.tokens = {{"secret"}};
  unsigned refused = 0;
  for (const GoodCall& call : kGoodCalls) {
    HttpAnswer answer = post(call.path, call.body);
    EXPECT_EQ(answer.status, 401) << call.path;
    EXPECT_EQ(error_code(answer), "unauthorized");
    EXPECT_TRUE(answer.has("WWW-Authenticate: Bearer")) << answer.head;
    ++refused;
  }
  for (const char* path : kGets) {
    bool open = is_open(path);
    EXPECT_EQ(get(path).status, open ? 200 : 401) << path;
    refused += open ? 0 : 1;
  }
  for (const char* path : {"/v1/batch", "/v1/trace?channel=c", "/v1/nothing"}) {
    EXPECT_EQ(get(path).status, 401) << path;
    ++refused;
  }
  EXPECT_TRUE(router.seen.empty());
  EXPECT_EQ(segment.stats(1).api_unauthorized.get(), refused);
  EXPECT_EQ(segment.stats(1).api_errors.get(), refused);
}

TEST_F(HttpApi, WithTheTokenACallIsCarriedOut) {
  api.tokens = {{"other"}, {"secret"}};
  http::Request request{.method = "POST",
                        .target = "/v1/send-all",
                        .headers = {{"Authorization", "Bearer secret"}},
                        .body = R"({"data":"x"})"};
  EXPECT_EQ(answer_to(request).status, 200);
  request.headers[0].value = "Bearer Secret";
  EXPECT_EQ(answer_to(request).status, 401);
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(HttpApi, ATokenMayDoWhatItsScopesSay) {
  api.tokens = {{"push", conf::kScopePush}, {"query", conf::kScopeQuery}, {"all"}};
  auto status = [&](const char* method, const char* path, const std::string& body,
                    std::string token) {
    HttpAnswer answer = answer_to({.method = method,
                                   .target = path,
                                   .headers = {{"Authorization", "Bearer " + token}},
                                   .body = body});
    EXPECT_TRUE(answer.status != 403 || error_code(answer) == "forbidden") << answer.body;
    return answer.status;
  };
  unsigned forbidden = 0;
  for (const GoodCall& call : kGoodCalls) {
    EXPECT_EQ(status("POST", call.path, call.body, "push"), 200) << call.path;
    EXPECT_EQ(status("POST", call.path, call.body, "query"), 403) << call.path;
    ++forbidden;
  }
  EXPECT_EQ(router.seen.size(), std::size(kGoodCalls));
  EXPECT_EQ(status("POST", "/v1/batch", "{}", "query"), 403);
  ++forbidden;
  for (const char* path : kGets) {
    bool open = is_open(path);
    EXPECT_EQ(status("GET", path, "", "push"), open ? get(path).status : 403) << path;
    EXPECT_NE(status("GET", path, "", "query"), 403) << path;
    forbidden += open ? 0 : 1;
  }
  for (const char* token : {"push", "query"}) {
    EXPECT_EQ(status("GET", "/v1/trace", "", token), 403);
    EXPECT_EQ(status("GET", "/v1/nothing", "", token), 404);
    ++forbidden;
  }
  EXPECT_EQ(status("GET", "/v1/trace", "", "all"), 400);
  EXPECT_EQ(segment.stats(1).api_forbidden.get(), forbidden);
}

TEST_F(HttpApi, TellsWhichScopeIsMissing) {
  api.tokens = {{"t", conf::kScopeQuery}};
  HttpAnswer answer = answer_to({.method = "POST",
                                 .target = "/v1/send-all",
                                 .headers = {{"Authorization", "Bearer t"}},
                                 .body = R"({"data":"x"})"});
  EXPECT_EQ(answer.body, R"({"error":{"code":"forbidden","message":)"
                         R"("the token lacks a scope this needs: push"}})");
}

TEST_F(HttpApi, WithoutTokensNoWebPageMayPush) {
  http::Request request{.method = "POST",
                        .target = "/v1/send-all",
                        .headers = {{"Origin", "https://evil.example"}},
                        .body = R"({"data":"x"})"};
  HttpAnswer answer = answer_to(request);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(error_code(answer), "browser_refused");
  EXPECT_TRUE(router.seen.empty());
  request.method = "GET";
  request.target = "/healthz";
  EXPECT_EQ(answer_to(request).status, 200);
}

TEST_F(HttpApi, BytesThatAreNoRequestGetAJsonErrorToo) {
  auto unread = [&](int status, const char* why) {
    return parse_answer(std::string(unreadable(context, status, why).bytes()));
  };
  HttpAnswer answer = unread(431, "the header is too large");
  EXPECT_EQ(answer.status, 431);
  EXPECT_EQ(answer.body, R"({"error":{"code":"bad_http","message":"the header is too large"}})");
  EXPECT_TRUE(answer.has("Connection: close"));
  EXPECT_TRUE(answer.has("Holdfast-Worker: 1"));
  EXPECT_EQ(error_code(unread(413, "too much")), "too_large");
  EXPECT_EQ(segment.stats(1).api_errors.get(), 2u);
}

}  // namespace
}  // namespace holdfast::api
