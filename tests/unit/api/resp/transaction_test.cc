// MULTI, EXEC and DISCARD, byte for byte as redis-server 7.0 answers, and what of it our own commands ask for.

#include "tests/unit/api/resp/harness.h"

namespace holdfast::api {
namespace {

class RespTransactions : public RespTest {
 protected:
  struct Exchange {
    std::string_view sent, got;
  };
  void expect_transcript(std::initializer_list<Exchange> transcript) {
    RespLine client(context);
    for (const Exchange& e : transcript) EXPECT_EQ(client.say(e.sent), e.got) << e.sent;
  }
};

TEST_F(RespTransactions, AreQueuedAndCarriedOutTogether) {
  RespLine listener(context);
  listener.say("SUBSCRIBE a\r\n");
  expect_transcript({
      {"MULTI\r\n", "+OK\r\n"},
      {"PUBLISH a 1\r\n", "+QUEUED\r\n"},
      {"PING\r\n", "+QUEUED\r\n"},
      {"UNWATCH\r\n", "+QUEUED\r\n"},
  });
  EXPECT_EQ(listener.take(), "") << "nothing goes out of what is queued";
  EXPECT_EQ(
      answer_of("MULTI\r\nPUBLISH a 1\r\nPUBLISH a 2\r\nHF.SEND x y\r\nECHO e\r\nEXEC\r\nPING\r\n"),
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
      "*4\r\n:1\r\n:1\r\n-ERR 'x' is no session id (32 hex digits or 22 base64url digits)\r\n"
      "$1\r\ne\r\n+PONG\r\n");
  EXPECT_EQ(
      listener.take(),
      "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n");
}

TEST_F(RespTransactions, HaveRedissWords) {
  expect_transcript({
      {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
      {"DISCARD\r\n", "-ERR DISCARD without MULTI\r\n"},
      {"WATCH a b\r\n", "+OK\r\n"},
      {"UNWATCH\r\n", "+OK\r\n"},
      {"MULTI\r\n", "+OK\r\n"},
      {"MULTI\r\n", "-ERR MULTI calls can not be nested\r\n"},
      {"WATCH a\r\n", "-ERR WATCH inside MULTI is not allowed\r\n"},
      {"EXEC\r\n", "*0\r\n"},
      {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
      {"MULTI\r\n", "+OK\r\n"},
      {"PUBLISH a b\r\n", "+QUEUED\r\n"},
      {"DISCARD\r\n", "+OK\r\n"},
      {"MULTI\r\n", "+OK\r\n"},
      {"PUBLISH a b\r\n", "+QUEUED\r\n"},
      {"RESET\r\n", "+RESET\r\n"},
      {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
      {"MULTI x\r\n", "-ERR wrong number of arguments for 'multi' command\r\n"},
  });
  EXPECT_TRUE(router.seen.empty());
}

// Any error before EXEC, and nothing is done: the client may say it all again.
TEST_F(RespTransactions, AreGivenUpAfterAnErrorInTheQueue) {
  api.max_body = 1000;
  std::string long_one = "*2\r\n$9\r\nHF.SENDALL\r\n$2000\r\n" + std::string(2000, 'x') + "\r\n";
  long_one.replace(long_one.find("$9"), 2, "$10");
  for (const std::string& bad : {line("SET a b"), line("PUBLISH a"), line("SUBSCRIBE a"),
                                 line("HELLO 3"), line("PSUBSCRIBE a"), long_one}) {
    RespLine client(context);
    client.say("MULTI\r\nPUBLISH a 1\r\n");
    EXPECT_TRUE(client.say(bad).starts_with("-ERR ")) << bad;
    EXPECT_EQ(client.say("PUBLISH a 2\r\n"), "+QUEUED\r\n");
    EXPECT_EQ(client.say("EXEC\r\n"),
              "-EXECABORT Transaction discarded because of previous errors.\r\n")
        << bad;
    EXPECT_EQ(client.say("PING\r\n"), "+PONG\r\n");
  }
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(RespTransactions, AreBounded) {
  RespLine client(context);
  client.say("MULTI\r\n");
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.say("PING\r\n"), "+QUEUED\r\n");
  EXPECT_EQ(client.say("PING\r\n"), "-ERR a transaction has 1000 commands at most\r\n");
  EXPECT_TRUE(client.say("EXEC\r\n").starts_with("-EXECABORT "));
  api.max_body = 1000;
  client.say("MULTI\r\n");
  std::string big = line("HF.SENDALL " + std::string(800, 'x'));
  EXPECT_EQ(client.say(big), "+QUEUED\r\n");
  EXPECT_EQ(client.say(big), "-ERR a transaction has 1000 bytes at most (max_body)\r\n");
  EXPECT_TRUE(client.say("EXEC\r\n").starts_with("-EXECABORT "));
  EXPECT_EQ(client.say(line("MULTI") + big + line("EXEC")), "+OK\r\n+QUEUED\r\n*1\r\n:0\r\n");
}

TEST_F(RespTransactions, AskFewQuestionsOneAfterTheOther) {
  RespLine client(context);
  client.say("MULTI\r\n");
  for (int i = 0; i < 16; ++i) ASSERT_EQ(client.say("HF.CHANNELS\r\n"), "+QUEUED\r\n");
  EXPECT_EQ(client.say("HF.CHANNELS\r\n"), "-ERR a transaction has 16 questions at most\r\n");
  EXPECT_TRUE(client.say("EXEC\r\n").starts_with("-EXECABORT "));
  router.hold = true;
  client.say(line("MULTI") + line("HF.CHANNELS") + line("HF.USERS") + line("EXEC"));
  EXPECT_EQ(router.seen.size(), 1u) << "the second waits for the answer to the first";
  router.release({});
  EXPECT_EQ(router.seen.size(), 2u);
}

TEST_F(RespTransactions, HaveAFewPushesUnderWay) {
  router.hold = true;
  RespLine client(context);
  std::string all = line("MULTI");
  for (int i = 0; i < 6; ++i) all += line("PUBLISH a " + std::to_string(i));
  client.say(all + line("EXEC"));
  EXPECT_EQ(router.seen.size(), 4u);
  router.release({.delivered = 1});
  EXPECT_EQ(router.seen.size(), 5u);
}

TEST_F(RespTransactions, WaitForChangesAsRequestsDo) {
  std::string id = shm::SessionId::make(7, 3).hex();
  router.hold = true;
  RespLine client(context);
  EXPECT_EQ(client.say(line("MULTI") + line("HF.JOIN a " + id) + line("PUBLISH a 1") +
                       line("PUBLISH a 2") + line("EXEC") + line("PING")),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(client.last_step, Face::Step::wait);
  EXPECT_EQ(router.seen.size(), 1u) << "a publish waits for the join before it";
  router.release({.delivered = 1});
  EXPECT_EQ(router.seen.size(), 3u) << "pushes are under way together";
  router.release({.delivered = 2});
  EXPECT_EQ(client.take(), "");
  router.release({.delivered = 3});
  client.run();
  EXPECT_EQ(client.take(), "*3\r\n:1\r\n:2\r\n:3\r\n+PONG\r\n");
}

// All of it or nothing.
TEST_F(RespTransactions, ThatHaveBegunAreFinishedWithoutTheirConnection) {
  std::string id = shm::SessionId::make(7, 3).hex();
  router.hold = true;
  RespLine client(context);
  client.say(line("MULTI") + line("HF.JOIN a " + id) + line("CLIENT SETNAME me") +
             line("PUBLISH a 1") + line("EXEC"));
  ASSERT_EQ(router.seen.size(), 1u);
  client.take();
  client.face.reset();
  router.release({.delivered = 1});
  ASSERT_EQ(router.seen.size(), 2u);
  EXPECT_EQ(router.seen[1].op, Op::publish);
  router.release({.delivered = 1});
  EXPECT_EQ(client.take(), "*3\r\n:1\r\n+OK\r\n:1\r\n");
}

TEST_F(RespTransactions, AskForNoMoreThanTheConnectionCanTake) {
  answer_with({.names = std::vector<NameCount>(10'000, NameCount{std::string(250, 'n')})});
  RespLine client(context);
  client.say("MULTI\r\n");
  for (int i = 0; i < 5; ++i) client.say("HF.CHANNELS\r\n");
  client.say("PUBLISH a b\r\n");
  std::string answer = client.say("EXEC\r\n");
  EXPECT_TRUE(answer.starts_with("*6\r\n*2\r\n"));
  EXPECT_NE(answer.find("-ERR what this transaction asks for is too long for one answer\r\n"),
            std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n:0\r\n")) << "pushes are not left out";
}

TEST_F(RespTransactions, AreNothingForStrangersAndKeepScopes) {
  api.tokens = {{"p", conf::kScopePush}};
  EXPECT_EQ(answer_of("MULTI\r\n"), "-NOAUTH Authentication required.\r\n");
  RespLine client(context);
  client.say("AUTH p\r\nMULTI\r\n");
  EXPECT_TRUE(client.say("HF.STATS\r\n").starts_with("-NOPERM "));
  EXPECT_TRUE(client.say("EXEC\r\n").starts_with("-EXECABORT "));
}

}  // namespace
}  // namespace holdfast::api
