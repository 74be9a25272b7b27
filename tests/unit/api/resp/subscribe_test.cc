// SUBSCRIBE on a connection, byte for byte as redis-server 7.0.15 of Debian 12 answered the same bytes.

#include "tests/unit/api/resp/harness.h"

namespace holdfast::api {
namespace {

class RespSubscribe : public RespTest {
 protected:
  struct Exchange {
    std::string_view sent, got;
  };
  void expect_transcript(std::initializer_list<Exchange> transcript) {
    RespLine client(context);
    for (const Exchange& e : transcript) EXPECT_EQ(client.say(e.sent), e.got) << e.sent;
  }
};

TEST_F(RespSubscribe, InVersion2IsAnsweredAsRedisDoes) {
  constexpr std::string_view kNotNow =
      ": only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
      "context\r\n";
  std::string get = "-ERR Can't execute 'echo'" + std::string(kNotNow);
  std::string id = "-ERR Can't execute 'client|id'" + std::string(kNotNow);
  expect_transcript({
      {"SUBSCRIBE a b a\r\n",
       "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
       "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n"},
      {"PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
      {"PING hi\r\n", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"},
      {"ECHO x\r\n", get},
      {"CLIENT ID\r\n", id},
      {"FOO x\r\n", "-ERR unknown command 'FOO', with args beginning with: 'x' \r\n"},
      {"SUBSCRIBE\r\n", "-ERR wrong number of arguments for 'subscribe' command\r\n"},
      {"PING a b c\r\n", "-ERR wrong number of arguments for 'ping' command\r\n"},
      {"UNSUBSCRIBE zz a\r\n",
       "*3\r\n$11\r\nunsubscribe\r\n$2\r\nzz\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:"
       "1\r\n"},
      {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"},
      {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"},
      {"UNSUBSCRIBE q r\r\n",
       "*3\r\n$11\r\nunsubscribe\r\n$1\r\nq\r\n:0\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nr\r\n:"
       "0\r\n"},
      {"PING\r\n", "+PONG\r\n"},
  });
}

TEST_F(RespSubscribe, InVersion3IsAnsweredAsRedisDoes) {
  RespLine client(context);
  ASSERT_TRUE(client.say("HELLO 3\r\n").starts_with("%7\r\n"));
  const Exchange kTranscript[] = {
      {"SUBSCRIBE a b a\r\n",
       ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
       ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n"},
      {"PING\r\n", "+PONG\r\n"},
      {"PING hi\r\n", "$2\r\nhi\r\n"},
      {"CLIENT GETNAME\r\n", "_\r\n"},
      {"PUBLISH a hello\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n:1\r\n"},
      {"UNSUBSCRIBE zz a\r\n",
       ">3\r\n$11\r\nunsubscribe\r\n$2\r\nzz\r\n:2\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:"
       "1\r\n"},
      {"UNSUBSCRIBE\r\n", ">3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"},
      {"UNSUBSCRIBE\r\n", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"},
      {"SUBSCRIBE a b\r\n",
       ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"},
      {"PUBLISH b 1\r\nUNSUBSCRIBE b\r\nPUBLISH b 2\r\n",
       ">3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n1\r\n:1\r\n"
       ">3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n:0\r\n"},
      {"ECHO x\r\nPUBLISH a 3\r\nPING\r\n",
       "$1\r\nx\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n3\r\n:1\r\n+PONG\r\n"},
      {"RESET\r\n", "+RESET\r\n"},
      {"SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"},
      {"RESET\r\n", "+RESET\r\n"},
      {"PING\r\n", "+PONG\r\n"},
      {"SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"},
      {"QUIT\r\n", "+OK\r\n"},
  };
  for (const Exchange& e : kTranscript) EXPECT_EQ(client.say(e.sent), e.got) << e.sent;
  EXPECT_TRUE(client.ended);
}

// The words of redis-server 7: pmessage and smessage, and counts of channels and patterns together, of sharded channels alone.
TEST_F(RespSubscribe, PatternsAndShardedChannelsAreAnsweredAsRedisDoes) {
  expect_transcript({
      {"PSUBSCRIBE n* ?x n*\r\n",
       "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\n?x\r\n:2\r\n"
       "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:2\r\n"},
      {"SUBSCRIBE news\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:3\r\n"},
      {"SSUBSCRIBE s\r\n", "*3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n"},
      {"PUBLISH a b\r\n",
       "-ERR Can't execute 'publish': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
       "are allowed in this context\r\n"},
      {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:2\r\n"},
      {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:2\r\n"},
      {"PUNSUBSCRIBE zz\r\n", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nzz\r\n:2\r\n"},
      {"PUNSUBSCRIBE ?x\r\n", "*3\r\n$12\r\npunsubscribe\r\n$2\r\n?x\r\n:1\r\n"},
      {"PUNSUBSCRIBE\r\n", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nn*\r\n:0\r\n"},
      {"PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
      {"SUNSUBSCRIBE\r\n", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\ns\r\n:0\r\n"},
      {"SUNSUBSCRIBE\r\n", "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n"},
      {"PING\r\n", "+PONG\r\n"},
  });
}

TEST_F(RespSubscribe, WhoHasAChannelAndItsPatternGetsBoth) {
  RespLine two(context), three(context);
  two.say("SUBSCRIBE news\r\nPSUBSCRIBE n* *s\r\n");
  three.say("HELLO 3\r\nPSUBSCRIBE n*\r\n");
  EXPECT_EQ(answer_of("PUBLISH news hi\r\n"), ":4\r\n");
  std::string rest = "$4\r\nnews\r\n$2\r\nhi\r\n";
  EXPECT_EQ(two.take(), "*3\r\n$7\r\nmessage\r\n" + rest + "*4\r\n$8\r\npmessage\r\n$2\r\n*s\r\n" +
                            rest + "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n" + rest);
  EXPECT_EQ(three.take(), ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n" + rest);
  EXPECT_EQ(answer_of("PUBLISH other hi\r\n"), ":0\r\n");
  EXPECT_EQ(stats().resp_patterns.get(), 3u);
  EXPECT_EQ(stats().subscriptions.get(), 1u);
  EXPECT_EQ(stats().channels_local.get(), 1u);
  EXPECT_TRUE(segment.filter().maybe_member(1, kAnyPattern));
  two.say("RESET\r\n");
  EXPECT_TRUE(segment.filter().maybe_member(1, kAnyPattern));
  three.say("PUNSUBSCRIBE\r\n");
  EXPECT_FALSE(segment.filter().maybe_member(1, kAnyPattern));
  EXPECT_FALSE(hub.has_patterns());
  EXPECT_EQ(stats().resp_patterns.get(), 0u);
  EXPECT_EQ(stats().resp_subscribers.get(), 0u);
}

TEST_F(RespSubscribe, ShardedChannelsAreApart) {
  RespLine plain(context), sharded(context), pattern(context);
  plain.say("SUBSCRIBE a\r\n");
  sharded.say("HELLO 3\r\nSSUBSCRIBE a\r\n");
  pattern.say("PSUBSCRIBE *\r\n");
  EXPECT_EQ(answer_of("SPUBLISH a s\r\n"), ":1\r\n");
  EXPECT_EQ(answer_of("PUBLISH a p\r\n"), ":2\r\n");
  EXPECT_EQ(plain.take(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\np\r\n");
  EXPECT_EQ(pattern.take(), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\np\r\n");
  EXPECT_EQ(sharded.take(), ">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\ns\r\n");
  EXPECT_TRUE(answer_of("SPUBLISH '' x\r\n").starts_with("-ERR '' is no channel"));
}

TEST_F(RespSubscribe, PatternsAreBounded) {
  RespLine client(context);
  std::string request = "PSUBSCRIBE";
  for (int i = 0; i < 100; ++i) request += fmt::format(" p{}*", i);
  client.say(line(request));
  EXPECT_EQ(client.say("PSUBSCRIBE new\r\n"),
            "-ERR a connection can subscribe to 100 patterns at most\r\n");
  EXPECT_EQ(client.say("PSUBSCRIBE p1*\r\n"), "*3\r\n$10\r\npsubscribe\r\n$3\r\np1*\r\n:100\r\n");
  EXPECT_EQ(client.say("PSUBSCRIBE " + std::string(256, '*') + "\r\n"),
            "-ERR a pattern has 255 bytes at most\r\n");
  std::vector<std::unique_ptr<RespLine>> others;
  for (int n = 1; n < 10; ++n) {
    others.push_back(std::make_unique<RespLine>(context));
    request = "PSUBSCRIBE";
    for (int i = 0; i < 100; ++i) request += fmt::format(" p{}*", n * 100 + i);
    others.back()->say(line(request));
  }
  EXPECT_EQ(stats().resp_patterns.get(), 1000u);
  EXPECT_EQ(answer_of("PSUBSCRIBE new\r\n"),
            "-ERR a worker can have 1000 different patterns at most\r\n");
}

TEST_F(RespSubscribe, AVersionChangedMeanwhileFramesWhatComes) {
  RespLine client(context);
  client.say("HELLO 3\r\nSUBSCRIBE a\r\nHELLO 2\r\n");
  router.publish("a", "x");
  EXPECT_EQ(client.take(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
}

TEST_F(RespSubscribe, MessagesAreBytes) {
  RespLine client(context);
  client.say("SUBSCRIBE a\r\n");
  std::string message("\0\r\n\xff", 4);
  EXPECT_EQ(answer_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$4\r\n" + message + "\r\n"), ":1\r\n");
  EXPECT_EQ(client.take(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n" + message + "\r\n");
}

TEST_F(RespSubscribe, GoesAwayWithTheConnectionHoweverItEnds) {
  auto expect_nobody = [&](std::string_view how) {
    EXPECT_EQ(hub.find("a"), nullptr) << how;
    EXPECT_EQ(stats().resp_subscribers.get(), 0u) << how;
    EXPECT_EQ(stats().subscriptions.get(), 0u) << how;
  };
  for (std::string_view end : {"QUIT\r\n", "RESET\r\n", "UNSUBSCRIBE\r\n", "UNSUBSCRIBE a b c\r\n",
                               "*x\r\n", "POST / HTTP/1.1\r\n"}) {
    RespLine client(context);
    client.say("SUBSCRIBE a b c\r\n");
    EXPECT_TRUE(client.face->wants_to_stay());
    ASSERT_NE(hub.find("a"), nullptr);
    EXPECT_EQ(stats().resp_subscribers.get(), 1u);
    EXPECT_EQ(stats().subscriptions.get(), 3u);
    client.say(end);
    EXPECT_FALSE(client.face->wants_to_stay());
    expect_nobody(end);
  }
  {
    RespLine client(context);
    client.say("SUBSCRIBE a b c\r\n");
  }
  expect_nobody("destroyed");
}

TEST_F(RespSubscribe, OneThatReadsTooSlowlyIsEndedAndCounted) {
  RespLine slow(context), quick(context);
  api.send_queue = 1000;
  slow.say("SUBSCRIBE a\r\n");
  quick.say("SUBSCRIBE a\r\n");
  std::string frame = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n";
  slow.backlog = 1000 - frame.size();
  EXPECT_EQ(router.publish("a", "x"), 2u);
  EXPECT_FALSE(slow.aborted);
  EXPECT_EQ(router.publish("a", "y"), 1u);
  EXPECT_TRUE(slow.aborted);
  EXPECT_EQ(stats().api_closed_slow.get(), 1u);
  slow.backlog = 0;
  EXPECT_EQ(router.publish("a", "z"), 1u) << "nothing more for one that is ended";
  EXPECT_EQ(slow.take(), frame);
  EXPECT_EQ(stats().resp_messages.get(), 4u);
  EXPECT_EQ(stats().api_closed_slow.get(), 1u);
}

TEST_F(RespSubscribe, NoMoreThanTenThousandChannels) {
  RespLine client(context);
  for (int i = 0; i < 10; ++i) {
    std::string request = "SUBSCRIBE";
    for (int k = 0; k < 1000; ++k) request += fmt::format(" c{}", i * 1000 + k);
    client.say(line(request));
  }
  constexpr std::string_view kError =
      "-ERR a connection can subscribe to 10000 channels at most\r\n";
  EXPECT_EQ(client.say("SUBSCRIBE new\r\n"), kError);
  EXPECT_EQ(client.say("SUBSCRIBE c1 new\r\n"), kError);
  EXPECT_EQ(hub.find("new"), nullptr);
  EXPECT_EQ(client.say("SUBSCRIBE c1\r\n"), "*3\r\n$9\r\nsubscribe\r\n$2\r\nc1\r\n:10000\r\n");
  client.say("UNSUBSCRIBE c1\r\n");
  EXPECT_EQ(client.say("SUBSCRIBE new new\r\n"),
            "*3\r\n$9\r\nsubscribe\r\n$3\r\nnew\r\n:10000\r\n"
            "*3\r\n$9\r\nsubscribe\r\n$3\r\nnew\r\n:10000\r\n");
}

TEST_F(RespSubscribe, ABadNameSubscribesToNothing) {
  RespLine client(context);
  EXPECT_EQ(client.say("*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\n\x01\r\n"),
            "-ERR '\x01' is no channel (1 to 255 bytes of UTF-8 without control characters)\r\n");
  EXPECT_EQ(hub.find("a"), nullptr);
  EXPECT_TRUE(client.say("SUBSCRIBE " + std::string(256, 'c') + "\r\n").starts_with("-ERR 'ccc"));
}

}  // namespace
}  // namespace holdfast::api
