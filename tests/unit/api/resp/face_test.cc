// A RESP connection: order, authentication, rights, what ends it.

#include "tests/unit/api/resp/harness.h"

namespace holdfast::api {
namespace {

class RespFaceOf : public RespTest {};

TEST_F(RespFaceOf, PipelinedRequestsAreAnsweredInTheirOrder) {
  RespLine client(context);
  EXPECT_EQ(client.say("PING\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n\r\n*0\r\nPING b\r\nECHO "),
            "+PONG\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_TRUE(client.face->in_request());
  EXPECT_EQ(client.say("c\r\n"), "$1\r\nc\r\n");
  EXPECT_FALSE(client.face->in_request());
  EXPECT_EQ(stats().api_requests.get(), 4u);
  EXPECT_EQ(client.face->idle_ms(), 0u);
}

TEST_F(RespFaceOf, PushesAreUnderWayTogether) {
  router.hold = true;
  RespLine client(context);
  EXPECT_EQ(client.say("PUBLISH a 1\r\nPUBLISH a 2\r\nPING\r\n"), "");
  ASSERT_EQ(router.held.size(), 2u);
  router.release({.delivered = 7});
  EXPECT_EQ(client.take(), ":7\r\n");
  router.release({.delivered = 8});
  EXPECT_EQ(client.take(), ":8\r\n+PONG\r\n");
}

TEST_F(RespFaceOf, WhatComesBehindAChangeWaitsForItsAnswer) {
  std::string id = shm::SessionId::make(7, 3).hex();
  const std::string kChanges[] = {"HF.JOIN c " + id, "HF.LEAVE c " + id, "HF.BIND " + id + " u",
                                  "HF.UNBIND " + id, "HF.KICK " + id,    "HF.DATA " + id + " SET",
                                  "HF.JOINUSER c u", "HF.LEAVEUSER c u", "HF.KICKUSER u",
                                  "HF.KICKCHANNEL c"};
  for (const std::string& change : kChanges) {
    router.hold = true;
    router.seen.clear();
    RespLine client(context);
    EXPECT_EQ(client.say(line(change) + "PUBLISH c m\r\n"), "") << change;
    EXPECT_EQ(client.last_step, Face::Step::wait);
    ASSERT_EQ(router.seen.size(), 1u) << change;
    EXPECT_TRUE(changes_state(router.seen[0].op));
    router.hold = false;
    router.release({.delivered = 1});
    client.run();
    EXPECT_EQ(client.take(), ":1\r\n:0\r\n") << change;
    EXPECT_EQ(router.seen.size(), 2u);
  }
}

TEST_F(RespFaceOf, EveryRowOfTheTableCanBeFoundAndDoesSomething) {
  std::string_view before;
  for (const RespCommand& command : resp_commands()) {
    EXPECT_LT(before, command.name);
    before = command.name;
    EXPECT_NE(command.arity, 0) << command.name;
    EXPECT_EQ(command.run == nullptr, command.name == "client" || command.name == "pubsub");
  }
}

TEST_F(RespFaceOf, ChangesOfTheConnectionWaitForEarlierAnswers) {
  for (std::string_view request : {"SUBSCRIBE a", "PSUBSCRIBE a", "SSUBSCRIBE a", "UNSUBSCRIBE",
                                   "PUNSUBSCRIBE", "SUNSUBSCRIBE", "HELLO 3", "RESET", "QUIT"}) {
    router.hold = true;
    RespLine client(context);
    EXPECT_EQ(client.say("PUBLISH x 1\r\n" + line(request)), "") << request;
    EXPECT_EQ(client.last_step, Face::Step::wait) << request;
    router.release({.delivered = 1});
    client.run();
    EXPECT_TRUE(client.take().starts_with(":1\r\n")) << request;
    EXPECT_NE(client.last_step, Face::Step::wait) << request;
  }
}

TEST_F(RespFaceOf, AnswersThatComeWhenItIsGoneAreNobodys) {
  router.hold = true;
  {
    RespLine client(context);
    client.say("PUBSUB CHANNELS\r\n");
    client.face.reset();
    router.release({});
    EXPECT_EQ(client.take(), "*0\r\n");
  }
}

// ---- the stream

TEST_F(RespFaceOf, ALostStreamEndsWithItsErrorBehindWhatWasGood) {
  const std::pair<std::string, std::string> kCases[] = {
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*x\r\n", "invalid multibulk length"},
      {"*1\r\nx", "expected '$', got 'x'"},
      {"*1\r\n\n", "expected '$', got ' '"},
      {"\"a\r\n", "unbalanced quotes in request"},
      {std::string(70'000, 'a'), "too big inline request"}};
  uint64_t bad = 0;
  for (const auto& [bytes, why] : kCases) {
    RespLine client(context);
    EXPECT_EQ(client.say("PING\r\n" + bytes + "PING\r\n"),
              "+PONG\r\n-ERR Protocol error: " + why + "\r\n");
    EXPECT_TRUE(client.ended);
    EXPECT_EQ(stats().api_bad_input.get(), ++bad);
  }
}

TEST_F(RespFaceOf, ARequestIsBoundedByMaxBody) {
  api.max_body = 1000;
  RespLine client(context);
  std::string request = "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$990\r\n";
  EXPECT_EQ(client.say("PING\r\n" + request), "+PONG\r\n");
  EXPECT_TRUE(client.face->in_request());
  std::string answer = "-ERR a request of 1022 bytes; 1000 are taken (max_body)\r\n";
  EXPECT_EQ(client.say(std::string(990, 'x') + "\r\nPING\r\n"), answer + "+PONG\r\n");
  EXPECT_FALSE(client.face->in_request());
  EXPECT_EQ(router.seen.size(), 0u);
  EXPECT_EQ(stats().api_errors.get(), 1u);
  EXPECT_EQ(client.say("*1\r\n$99999999\r\n"),
            "-ERR Protocol error: invalid bulk length: a request has 1000 bytes at most "
            "(max_body)\r\n");
  EXPECT_TRUE(client.ended);
}

TEST_F(RespFaceOf, ABrowserIsTurnedAwayBeforeItsBody) {
  for (std::string_view head :
       {"POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", "put /x HTTP/1.1\r\nhost: x\r\n"}) {
    router.seen.clear();
    RespLine client(context);
    std::string answer = client.say(std::string(head) + "\r\nPUBLISH a b\r\n");
    EXPECT_TRUE(answer.ends_with(
        "-ERR this is HTTP, and the listener speaks RESP (it is for Redis clients)\r\n"))
        << answer;
    EXPECT_TRUE(client.ended);
    EXPECT_TRUE(router.seen.empty());
  }
  EXPECT_EQ(stats().api_bad_input.get(), 3u);
}

TEST_F(RespFaceOf, WhatWasMeantForAnotherPortIsNamed) {
  using std::literals::operator""sv;
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"GET /v1/stats HTTP/1.1\r\n", "this is HTTP, "},
      {"\x16\x03\x01\x02\x00\x01"sv, "this is TLS, "},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "this is a PROXY header, "},
      {"\r\n\r\n\0\r\nQUIT\n"sv, "this is a PROXY header, "},
  };
  for (const auto& [bytes, named] : kCases) {
    RespLine client(context);
    std::string answer = client.say(bytes);
    EXPECT_TRUE(answer.starts_with("-ERR " + std::string(named))) << answer;
    EXPECT_TRUE(client.ended);
  }
}

TEST_F(RespFaceOf, QuitEndsItWithItsAnswer) {
  RespLine client(context);
  EXPECT_EQ(client.say("QUIT x\r\nPING\r\n"), "+OK\r\n");
  EXPECT_TRUE(client.ended);
}

// ---- who may

struct Step {
  std::string_view request, answer;
};

void expect_dialogue(const ApiContext& context, std::initializer_list<Step> steps) {
  RespLine client(context);
  for (const Step& step : steps)
    EXPECT_EQ(client.say(line(step.request)), line(step.answer)) << step.request;
}

constexpr std::string_view kNoAuth = "-NOAUTH Authentication required.";
constexpr std::string_view kWrongPass =
    "-WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kNoAuthHello =
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";

TEST_F(RespFaceOf, WithoutTokensEverybodyMayDoEverything) {
  expect_dialogue(context,
                  {{"AUTH x",
                    "-ERR AUTH <password> called without any password configured for the default "
                    "user. Are you sure your configuration is correct?"},
                   {"AUTH default x", "+OK"},
                   {"AUTH u x", kWrongPass},
                   {"AUTH a b c", "-ERR syntax error"},
                   {"PUBLISH a b", ":0"},
                   {"PUBSUB NUMPAT", ":0"},
                   {"RESET", "+RESET"},
                   {"PUBLISH a b", ":0"}});
}

TEST_F(RespFaceOf, WithTokensNothingGoesBeforeOne) {
  api.tokens = {{"other"}, {"secret"}};
  expect_dialogue(context, {{"PING", kNoAuth},
                            {"PUBLISH a b", kNoAuth},
                            {"UNSUBSCRIBE", kNoAuth},
                            {"HELLO", kNoAuthHello},
                            {"HELLO 3", kNoAuthHello},
                            {"PUBLISH x", "-ERR wrong number of arguments for 'publish' command"},
                            {"CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."},
                            {"FOO x", "-ERR unknown command 'FOO', with args beginning with: 'x' "},
                            {"AUTH wrong", kWrongPass},
                            {"AUTH u wrong", kWrongPass},
                            {"HELLO 3 AUTH u wrong", kWrongPass},
                            {"AUTH secret", "+OK"},
                            {"PING", "+PONG"},
                            {"AUTH wrong", kWrongPass},
                            {"PING", "+PONG"},
                            {"RESET", "+RESET"},
                            {"PING", kNoAuth},
                            {"AUTH anybody other", "+OK"},
                            {"PING", "+PONG"}});
  EXPECT_EQ(stats().api_unauthorized.get(), 10u);
  EXPECT_EQ(router.seen.size(), 0u);
}

TEST_F(RespFaceOf, AStrangerCannotMakeUsKeepMuch) {
  api.tokens = {{"secret"}};
  EXPECT_EQ(answer_of("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_EQ(answer_of("*1\r\n$16385\r\n"), "-ERR Protocol error: unauthenticated bulk length\r\n");
  RespLine client(context);
  EXPECT_EQ(client.say("AUTH secret\r\n*11\r\n$16385\r\n"), "+OK\r\n");
  EXPECT_FALSE(client.ended);
}

// Every command needs exactly the scope that the table gives it.
TEST_F(RespFaceOf, ATokenMayWhatItsScopesSay) {
  api.tokens = {{"p", conf::kScopePush}, {"q", conf::kScopeQuery}, {"a", conf::kScopeAdmin}};
  struct Case {
    std::string_view request, name;
    unsigned scope;
  };
  const Case kCases[] = {
      {"PUBLISH a b", "publish", conf::kScopePush},
      {"HF.SENDALL b", "hf.sendall", conf::kScopePush},
      {"HF.KICKUSER u", "hf.kickuser", conf::kScopePush},
      {"INFO server", "info", conf::kScopeQuery},
      {"HF.STATS", "hf.stats", conf::kScopeQuery},
      {"HF.USERS", "hf.users", conf::kScopeQuery},
      {"PUBSUB NUMPAT", "pubsub|numpat", conf::kScopeQuery},
      {"SUBSCRIBE a", "subscribe", conf::kScopeQuery},
      {"PING", "", 0},
      {"SELECT 0", "", 0},
      {"CLIENT ID", "", 0},
      {"COMMAND COUNT", "", 0},
      {"UNSUBSCRIBE", "", 0},
  };
  for (const Case& c : kCases)
    for (const conf::Token& token : api.tokens) {
      RespLine client(context);
      client.say("AUTH " + token.secret + "\r\n");
      std::string answer = client.say(line(c.request));
      bool may = c.scope == 0 || token.scopes == c.scope || token.scopes == conf::kScopeAdmin;
      std::string refusal =
          fmt::format("-NOPERM this user has no permissions to run the '{}' command\r\n", c.name);
      EXPECT_EQ(answer == refusal, !may) << c.request << ' ' << token.secret << ' ' << answer;
      EXPECT_EQ(answer.starts_with('-'), !may) << c.request << ' ' << answer;
    }
  EXPECT_EQ(stats().api_forbidden.get(), 8u);
}

}  // namespace
}  // namespace holdfast::api
