// Redis clients as they come from Debian, and bytes by hand, against the real server: publish, subscribe and
// everything between.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

std::string resp_api(const std::string& more = {}) {
  return "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n" + more + "\n";
}

// The gateway's own first API is HTTP.
std::string resp_of(const Gateway& gw) {
  return gw.api(1);
}

std::vector<std::string> redis_cli(const std::string& address,
                                   const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"redis-cli"};
  if (address.starts_with("unix:"))
    command.insert(command.end(), {"-s", address.substr(5)});
  else
    command.insert(command.end(), {"-p", address.substr(address.rfind(':') + 1)});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

// What redis-cli prints when it is no terminal.
std::string cli(const Gateway& gw, const std::vector<std::string>& arguments) {
  return run(redis_cli(resp_of(gw), arguments)).output;
}

uint64_t subscribers_of(const Gateway& gw, uint16_t slot) {
  return gw.segment().stats(slot).resp_subscribers.get();
}

// A subscriber of `channel` on each of two workers.
std::vector<Stream> subscribe_on_both(const Gateway& gw, const std::string& channel) {
  std::vector<Stream> all;
  for (int tries = 0; tries < 200; ++tries) {
    all.emplace_back(resp_of(gw));
    all.back().write("SUBSCRIBE " + channel + "\r\n");
    all.back().read_until(":1\r\n");
    if (subscribers_of(gw, 0) > 0 && subscribers_of(gw, 1) > 0) return all;
  }
  throw std::runtime_error("no subscriber landed on one of the workers");
}

std::string message(const std::string& channel, const std::string& data) {
  auto bulk = [](const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  return "*3\r\n" + bulk("message") + bulk(channel) + bulk(data);
}

TEST(Resp, RedisCliPublishesToWebSocketsOfEveryWorker) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  auto clients = gw.one_on_each("/ws?channel=news", {0, 1});
  EXPECT_EQ(cli(gw, {"publish", "news", "hello"}), "2\n");
  EXPECT_EQ(cli(gw, {"hf.send", clients[1].session(), "you"}), "1\n");
  EXPECT_EQ(clients[0].next_text(), "hello");
  EXPECT_EQ(clients[1].next_text(), "hello");
  EXPECT_EQ(clients[1].next_text(), "you");
}

TEST(Resp, RedisCliSpeaksVersion3OverAUnixSocket) {
  Gateway gw({.tables = relay_ws() +
                        "[[api]]\naddress = \"unix:@DIR@/resp.sock\"\nprotocol = \"resp\"\n"});
  Finished asked = run(redis_cli(gw.api(1), {"-3", "hello", "3"}));
  EXPECT_NE(asked.output.find("proto 3\n"), std::string::npos) << asked.output;
  EXPECT_EQ(run(redis_cli(gw.api(1), {"-3", "nosuch", "a"})).output,
            "ERR unknown command 'nosuch', with args beginning with: 'a' \n\n");
}

TEST(Resp, SubscribersOfEveryWorkerGetWhatAnyClientPublishes) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  std::vector<Stream> subscribers = subscribe_on_both(gw, "room");
  WsClient web(gw.listener(), "/ws?channel=room");
  ASSERT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
  std::string reached = std::to_string(subscribers.size() + 1) + "\n";
  EXPECT_EQ(cli(gw, {"publish", "room", "from redis"}), reached);
  web.send_text("from the web");
  for (Stream& subscriber : subscribers) {
    std::string both = message("room", "from redis") + message("room", "from the web");
    EXPECT_EQ(subscriber.read_exactly(both.size()), both);
  }
  EXPECT_EQ(cli(gw, {"pubsub", "numsub", "room"}), "room\n" + reached);
  EXPECT_EQ(cli(gw, {"pubsub", "channels", "r[a-o]*"}), "room\n");
  subscribers.clear();
  EXPECT_EQ(gw.counter_becomes("resp.subscribers", 0), 0u);
  EXPECT_EQ(cli(gw, {"publish", "room", "x"}), "1\n");
}

// Of one worker, whoever publishes at which; what is queued goes out with EXEC only.
TEST(Resp, PatternsOfEveryWorkerGetTransactionsOfAny) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  std::vector<Stream> subscribers;
  for (int tries = 0; tries < 200 && (subscribers_of(gw, 0) == 0 || subscribers_of(gw, 1) == 0);
       ++tries) {
    subscribers.emplace_back(resp_of(gw));
    subscribers.back().write("PSUBSCRIBE r*\r\n");
    subscribers.back().read_until(":1\r\n");
  }
  EXPECT_EQ(cli(gw, {"pubsub", "numpat"}), "1\n");
  std::string reached = ":" + std::to_string(subscribers.size()) + "\r\n";
  Stream api(resp_of(gw));
  api.write("MULTI\r\nPUBLISH room 1\r\nPUBLISH other x\r\nPUBLISH room 2\r\nNOSUCH\r\nEXEC\r\n");
  EXPECT_NE(api.read_until("EXECABORT Transaction discarded because of previous errors.\r\n"), "");
  api.write("MULTI\r\nPUBLISH room 3\r\nPUBLISH other x\r\nPUBLISH room 4\r\nEXEC\r\n");
  std::string answer =
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n" + reached + ":0\r\n" + reached;
  EXPECT_EQ(api.read_exactly(answer.size()), answer);
  for (Stream& subscriber : subscribers)
    for (const char* text : {"3", "4"}) {
      std::string frame =
          "*4\r\n$8\r\npmessage\r\n$2\r\nr*\r\n$4\r\nroom\r\n$1\r\n" + std::string(text) + "\r\n";
      EXPECT_EQ(subscriber.read_exactly(frame.size()), frame);
    }
  subscribers.clear();
  EXPECT_EQ(gw.counter_becomes("resp.patterns", 0), 0u);
}

TEST(Resp, AnHttpPublishReachesSubscribersToo) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  std::vector<Stream> subscribers = subscribe_on_both(gw, "room");
  HttpAnswer answer = HttpClient(gw.api()).post("/v1/publish", publish_body({"room"}, "hi"));
  EXPECT_NE(answer.body.find("\"delivered\":" + std::to_string(subscribers.size())),
            std::string::npos)
      << answer.body;
  for (Stream& subscriber : subscribers)
    EXPECT_EQ(subscriber.read_exactly(message("room", "hi").size()), message("room", "hi"));
}

// What one client says in a row is done in that row, whoever carries it out.
TEST(Resp, SessionsAreChangedAskedForAndKicked) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  auto clients = gw.one_on_each("/ws?channel=start", {0, 1});
  for (WsClient& client : clients) {
    std::string id = client.session();
    Stream api(resp_of(gw));
    api.write("HF.BIND " + id + " ann\r\nHF.DATA " + id + " SET k v\r\nHF.JOIN room " + id +
              "\r\nPUBLISH room in\r\nHF.SENDUSER ann you\r\nHF.LEAVE room " + id +
              "\r\nPUBLISH room out\r\nHELLO 3\r\nHF.SESSION " + id + "\r\n");
    EXPECT_EQ(api.read_until(":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n%7\r\n").size(), 32u);
    std::string detail =
        "$8\r\nchannels\r\n*1\r\n$5\r\nstart\r\n$4\r\ndata\r\n%1\r\n$1\r\nk\r\n$1\r\nv\r\n";
    EXPECT_NE(api.read_until(detail).find("$4\r\nuser\r\n$3\r\nann\r\n"), std::string::npos);
    api.write("HF.KICK " + id + " 4001 'as you wish'\r\nHF.SESSION " + id + "\r\n");
    EXPECT_EQ(api.read_until("_\r\n"), ":1\r\n_\r\n");
    EXPECT_EQ(client.next_text(), "in");
    EXPECT_EQ(client.next_text(), "you");
    EXPECT_EQ(client.wait_close(), 4001);
  }
}

TEST(Resp, PhpRedisPublishesAndSubscribes) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  std::string port = resp_of(gw).substr(resp_of(gw).rfind(':') + 1);
  auto script = [&](const std::string& name, const std::string& body) {
    write_file(gw.dir() + name, "<?php $r = new Redis(); $r->connect('127.0.0.1', " + port +
                                    "); $r->setOption(Redis::OPT_READ_TIMEOUT, 10);\n" + body);
    return gw.dir() + name;
  };
  Process subscriber({"php8.2", script("/subscribe.php", R"PHP(
$r->subscribe(['a', 'b'], function ($r, $channel, $message) {
  echo $channel, ' ', bin2hex($message), "\n";
});
)PHP")},
                     gw.dir() + "/subscribe.out");
  ASSERT_EQ(gw.counter_becomes("resp.subscriptions", 2), 2u);
  std::string publish = script("/publish.php", R"PHP(
echo $r->publish('a', 'one'), "\n", $r->ping(), "\n";
$both = $r->multi(Redis::PIPELINE)->publish('a', "\0\xff")->publish('c', 'x')->exec();
echo json_encode($both), "\n";
echo json_encode($r->pubsub('numsub', ['a', 'c'])), "\n";
echo $r->info('server')['redis_version'], "\n";
var_dump($r->rawCommand('HF.SENDALL'));
echo $r->getLastError(), "\n";
echo $r->publish('b', 'end'), "\n";
)PHP");
  EXPECT_EQ(run({"php8.2", publish}).output,
            "1\n1\n[1,0]\n{\"a\":1,\"c\":0}\n7.0.0\nbool(false)\n"
            "ERR wrong number of arguments for 'hf.sendall' command\n1\n");
  std::string got = "a 6f6e65\na 00ff\nb 656e64\n";
  EXPECT_TRUE(eventually([&] { return read_file(gw.dir() + "/subscribe.out") == got; }))
      << read_file(gw.dir() + "/subscribe.out");
}

TEST(Resp, TokensAreAskedForAndTheirScopesKept) {
  TempDir files;
  write_file(files / "tokens", "all-of-it-0123456789\npusher-0123456789 push\n");
  ASSERT_EQ(chmod((files / "tokens").c_str(), 0600), 0);
  Gateway gw({.tables = relay_ws() + resp_api("token_file = \"" + (files / "tokens") + "\"")});
  EXPECT_EQ(cli(gw, {"publish", "a", "b"}), "NOAUTH Authentication required.\n\n");
  EXPECT_EQ(cli(gw, {"--no-auth-warning", "-a", "all-of-it-0123456789", "publish", "a", "b"}),
            "0\n");
  EXPECT_EQ(cli(gw, {"--no-auth-warning", "--user", "me", "-a", "pusher-0123456789", "-3",
                     "publish", "a", "b"}),
            "0\n");
  EXPECT_EQ(cli(gw, {"--no-auth-warning", "-a", "pusher-0123456789", "pubsub", "channels"}),
            "NOPERM this user has no permissions to run the 'pubsub|channels' command\n\n");
  EXPECT_EQ(gw.counter_becomes("api.forbidden", 1), 1u);
}

TEST(Resp, ManyRequestsInOnePieceAreAllAnsweredInOrder) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  WsClient client(gw.listener(), "/ws?channel=c");
  ASSERT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
  std::string requests, answers;
  for (int i = 0; i < 5'000; ++i) {
    std::string number = std::to_string(i);
    requests += "PUBLISH c " + number + "\r\nECHO " + number + "\r\n";
    answers += ":1\r\n$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
  }
  Stream api(resp_of(gw));
  api.write(requests + "QUIT\r\n");
  EXPECT_EQ(api.read_exactly(answers.size() + 5), answers + "+OK\r\n");
  EXPECT_TRUE(api.at_end());
  for (int i = 0; i < 5'000; ++i) ASSERT_EQ(client.next_text(), std::to_string(i));
}

TEST(Resp, ASubscriberThatDoesNotReadIsEndedAndNobodyElse) {
  Gateway gw({.tables = relay_ws() + resp_api("send_queue = \"64 KiB\"")});
  Stream slow(resp_of(gw)), quick(resp_of(gw)), api(resp_of(gw));
  for (Stream* subscriber : {&slow, &quick}) {
    subscriber->write("SUBSCRIBE a\r\n");
    subscriber->read_until(":1\r\n");
  }
  std::string data(16 * 1024, 'x');
  size_t published = 0;
  std::string publish =
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$" + std::to_string(data.size()) + "\r\n" + data + "\r\n";
  EXPECT_TRUE(eventually([&] {
    api.write(publish);
    api.read_until("\r\n");
    ++published;
    std::string frame = quick.read_exactly(message("a", data).size());
    EXPECT_EQ(frame, message("a", data));
    return gw.counter("api.closed_slow") > 0;
  }));
  EXPECT_EQ(gw.counter_becomes("resp.subscribers", 1), 1u);
  EXPECT_GT(published, 3u);
  api.write("PUBLISH a end\r\n");
  EXPECT_EQ(api.read_until("\r\n"), ":1\r\n");
  EXPECT_EQ(quick.read_exactly(message("a", "end").size()), message("a", "end"));
}

TEST(Resp, WhatIsNoRespEndsTheConnectionAndIsCounted) {
  Gateway gw({.tables = relay_ws() + resp_api()});
  Stream api(resp_of(gw));
  api.write("PING\r\n*1\r\n$-1\r\nPING\r\n");
  EXPECT_EQ(api.read_until("length\r\n"), "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_TRUE(api.at_end());
  EXPECT_EQ(gw.counter_becomes("api.bad_input", 1), 1u);
  EXPECT_EQ(gw.counter_becomes("resp.subscribers", 0), 0u);
}

}  // namespace
}  // namespace holdfast::test
