// Clients, Holdfast and a real php-fpm: messages, events, reply headers, and php-fpm being down, slow or restarted.

#include <gtest/gtest.h>

#include <thread>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

// Logs every request as "EVENT SESSION BODY" and answers messages by what they say.
const char* const kApp = R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
$body = file_get_contents('php://input');
file_put_contents(LOGFILE, $event . ' ' . $_SERVER['SESSIONID'] . ' ' . ($_SERVER['HOLDFAST_USER'] ?? '-') . ' ' .
    ($event === 'close' ? $_SERVER['HOLDFAST_REASON'] : $body) . "\n", FILE_APPEND | LOCK_EX);
if ($event === 'connect') {
    parse_str($_SERVER['QUERY_STRING'], $q);
    if (($q['name'] ?? '') === 'mallory') { http_response_code(403); echo 'not you'; exit; }
    if (isset($q['name'])) header('Holdfast-User: ' . $q['name']);
    if (isset($q['room'])) header('Holdfast-Join: ' . $q['room'] . ', all');
    if (isset($q['hello'])) echo 'welcome';
    if (isset($q['slow'])) usleep(300000);
    exit;
}
if ($event === 'close') exit;
switch (strtok($body, ' ')) {
    case 'echo': echo $body; break;
    case 'say': header('Holdfast-Publish: ' . strtok(' ')); echo strtok(''); break;
    case 'leave': header('Holdfast-Leave: ' . strtok(' ')); echo 'left'; break;
    case 'bye': header('Holdfast-Close: 4001 as you wish'); break;
    case 'data': header('Holdfast-Data: step=' . strtok(' ')); echo 'kept'; break;
    case 'which': parse_str($_SERVER['HOLDFAST_DATA'] ?? '', $d); echo json_encode($d); break;
    case 'crash': undefined_function();
    case 'sleep': usleep(1000 * (int) strtok(' ')); echo 'slept'; break;
    case 'env': echo json_encode(array_intersect_key($_SERVER, array_flip(explode(',', strtok(' '))))); break;
    case 'bin': header('Content-Type: application/octet-stream'); echo "\x00\xff"; break;
}
)PHP";

std::string app_tables(const Fpm& fpm, const std::string& backend_more = {},
                       unsigned max_connections = 4) {
  return app_ws() + fpm.backend(backend_more, max_connections);
}

TEST(Php, EchoesThroughRealFpm) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  WsClient client(gw.listener(), "/ws");
  for (int i = 0; i < 50; ++i) {
    client.send_text("echo " + std::to_string(i));
    ASSERT_EQ(client.next_text(), "echo " + std::to_string(i));
  }
  EXPECT_EQ(gw.counter_becomes("backend.answers", 51), 51u);  // and the connect event
}

TEST(Php, MessagesOfOneSessionStayInOrder) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  WsClient client(gw.listener(), "/ws");
  for (int i = 0; i < 300; ++i) client.send_text("echo " + std::to_string(i));
  for (int i = 0; i < 300; ++i) ASSERT_EQ(client.next_text(), "echo " + std::to_string(i));
}

TEST(Php, ParametersAreThoseOfCgiAndTheHandshake) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm, "params = { APP_ENV = \"test\" }")});
  WsClient client(gw.listener(), "/ws?a=1",
                  {.headers = "Cookie: PHPSESSID=abc\r\nX-Shop: 7\r\nProxy: evil\r\n"});
  client.send_text(
      "env REQUEST_METHOD,QUERY_STRING,REQUEST_URI,HTTP_COOKIE,HTTP_X_SHOP,HTTP_PROXY,SESSIONID,"
      "HOLDFAST_OPCODE,EVENT,REMOTE_ADDR,APP_ENV,GATEWAY_INTERFACE");
  std::string env = client.next_text();
  for (const char* part :
       {"\"REQUEST_METHOD\":\"POST\"", "\"QUERY_STRING\":\"a=1\"", "\"REQUEST_URI\":\"\\/ws?a=1\"",
        "\"HTTP_COOKIE\":\"PHPSESSID=abc\"", "\"HTTP_X_SHOP\":\"7\"",
        "\"HOLDFAST_OPCODE\":\"text\"", "\"REMOTE_ADDR\":\"127.0.0.1\"", "\"APP_ENV\":\"test\"",
        "\"GATEWAY_INTERFACE\":\"CGI\\/1.1\""})
    EXPECT_NE(env.find(part), std::string::npos) << part << " in " << env;
  EXPECT_NE(env.find("\"SESSIONID\":\"" + client.session() + "\""), std::string::npos) << env;
  EXPECT_EQ(env.find("evil"), std::string::npos);
  EXPECT_EQ(env.find("\"EVENT\""), std::string::npos);
}

TEST(Php, ConnectEventCanRefuseWithItsStatus) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  try {
    WsClient client(gw.listener(), "/ws?name=mallory");
    FAIL() << "was accepted";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.answer.status, 403);
    EXPECT_EQ(refused.answer.body, "not you\n");
  }
  EXPECT_EQ(gw.counter("events.connect_refused"), 1u);
  EXPECT_EQ(gw.counter("events.connect"), 0u);
  EXPECT_EQ(gw.counter("events.close_owed"), 0u);
}

TEST(Php, ReplyHeadersBindJoinLeavePublishAndClose) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  auto ann = gw.one_on_each("/ws?name=ann&room=red&hello=1", {0, 1});
  for (WsClient& client : ann) EXPECT_EQ(client.next_text(), "welcome");
  WsClient bob(gw.listener(), "/ws?name=bob&room=blue");
  bob.send_text("say red hi all");
  for (WsClient& client : ann) EXPECT_EQ(client.next_text(), "hi all");
  ann[0].send_text("leave red");
  EXPECT_EQ(ann[0].next_text(), "left");
  bob.send_text("say red again");
  EXPECT_EQ(ann[1].next_text(), "again");
  HttpClient api(gw.api());
  HttpAnswer answer = api.post("/v1/send-user", "{\"users\":[\"ann\"],\"data\":\"for ann\"}");
  EXPECT_NE(answer.body.find("\"delivered\":2"), std::string::npos) << answer.body;
  for (WsClient& client : ann) EXPECT_EQ(client.next_text(), "for ann");
  bob.send_text("data 3");
  EXPECT_EQ(bob.next_text(), "kept");
  bob.send_text("which");
  EXPECT_EQ(bob.next_text(), "{\"step\":\"3\"}");
  bob.send_text("bin");
  EXPECT_EQ(bob.next_frame()->opcode, 2);
  bob.send_text("bye");
  EXPECT_EQ(bob.wait_close(), 4001);
}

TEST(Php, CloseEventCarriesItsReason) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  WsClient polite(gw.listener(), "/ws?name=ann"), rude(gw.listener(), "/ws?name=bob"),
      kicked(gw.listener(), "/ws");
  polite.close();
  rude.stream().close();
  HttpClient(gw.api()).post("/v1/kick", "{\"sessions\":[\"" + kicked.session() + "\"]}");
  EXPECT_EQ(gw.counter_becomes("events.close", 3), 3u);
  std::string log = fpm.app_log();
  EXPECT_NE(log.find("close " + polite.session() + " ann client closed\n"), std::string::npos)
      << log;
  EXPECT_NE(log.find("close " + rude.session() + " bob connection lost\n"), std::string::npos)
      << log;
  EXPECT_NE(log.find("close " + kicked.session() + " - kicked\n"), std::string::npos) << log;
  EXPECT_EQ(gw.counter("events.connect"), 3u);
}

TEST(Php, FatalErrorIsToldToTheClientByItsCloseCode) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  WsClient client(gw.listener(), "/ws");
  client.send_text("crash");
  EXPECT_EQ(client.wait_close(), 1011);
  EXPECT_EQ(gw.counter_becomes("backend.error_pages", 1), 1u);
  EXPECT_EQ(gw.counter("sessions.closed_backend"), 1u);
}

TEST(Php, SlowAnswerPastReadTimeoutClosesTheSession) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm, "read_timeout = \"300ms\"")});
  WsClient client(gw.listener(), "/ws");
  client.send_text("sleep 1500");
  EXPECT_EQ(client.wait_close(), 1011);
  EXPECT_EQ(gw.counter("backend.timed_out"), 1u);
}

TEST(Php, DownAtConnectRefusesWith503AndComesBack) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm, "connect_timeout = \"200ms\"")});
  fpm.stop();
  try {
    WsClient client(gw.listener(), "/ws");
    FAIL() << "was accepted";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.answer.status, 503);
  }
  fpm.start();
  ASSERT_TRUE(eventually([&] {
    try {
      WsClient client(gw.listener(), "/ws");
      client.send_text("echo back");
      return client.next_text() == "echo back";
    } catch (const Refused&) {
      return false;
    }
  }));
}

TEST(Php, CloseEventsOutliveAnOutage) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm, "connect_timeout = \"200ms\"")});
  std::vector<WsClient> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(gw.listener(), "/ws");
  fpm.stop();
  clients.clear();
  EXPECT_EQ(gw.counter_becomes("events.close_owed", 20), 20u);
  ASSERT_TRUE(eventually([&] { return gw.counter("events.close_retried") > 0; }));
  fpm.start();
  EXPECT_EQ(gw.counter_becomes("events.close", 20), 20u);
  EXPECT_EQ(gw.counter_becomes("events.close_owed", 0), 0u);
  EXPECT_EQ(gw.counter("events.connect"), gw.counter("events.close"));
}

// Every message is answered, or its session is told by a close code, and both are counted.
TEST(Php, RestartUnderLoadLosesNothingSilently) {
  Fpm fpm(kApp, 4);
  Gateway gw({.tables = app_tables(fpm, "connect_timeout = \"500ms\"\nread_timeout = \"2s\"", 8)});
  constexpr int kClients = 40, kMessages = 30;
  std::vector<WsClient> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(gw.listener(), "/ws");
  for (int m = 0; m < kMessages; ++m)
    for (WsClient& client : clients) client.send_text("echo " + std::to_string(m));
  ASSERT_TRUE(eventually([&] { return gw.counter("backend.answers") > 100; }));
  fpm.kill_hard();
  fpm.start();
  int answered = 0, closed = 0;
  for (WsClient& client : clients) {
    int next = 0;
    while (next < kMessages) {
      std::optional<WsFrame> frame = client.next_frame();
      ASSERT_TRUE(frame) << "a session ended without a word";
      if (frame->opcode == 8) {
        EXPECT_TRUE(frame->close_code() == 1011 || frame->close_code() == 1013)
            << frame->close_code();
        ++closed;
        break;
      }
      ASSERT_EQ(frame->payload, "echo " + std::to_string(next));
      ++next;
      ++answered;
    }
  }
  EXPECT_GT(answered, 0);
  EXPECT_EQ(gw.counter("sessions.closed_backend"), uint64_t(closed));
}

// 32 connections against 2 children: each kept connection pins a child, and no request may starve for it.
TEST(Php, MoreConnectionsThanChildrenAnswersAll) {
  Fpm fpm(kApp, 2);
  Gateway gw({.tables = app_tables(fpm, "", 32)});
  std::vector<WsClient> clients;
  for (int i = 0; i < 100; ++i) clients.emplace_back(gw.listener(), "/ws");
  for (int m = 0; m < 10; ++m) {
    for (WsClient& client : clients) client.send_text("echo " + std::to_string(m));
    for (WsClient& client : clients) ASSERT_EQ(client.next_text(), "echo " + std::to_string(m));
  }
  EXPECT_EQ(gw.counter("backend.failed") + gw.counter("backend.timed_out"), 0u);
}

TEST(Php, FullQueueTellsTheSession) {
  Fpm fpm(kApp, 1);
  Gateway gw({.workers = 1, .tables = app_tables(fpm, "events = []\nqueue = 2", 1)});
  std::vector<WsClient> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back(gw.listener(), "/ws");
  for (WsClient& client : clients) client.send_text("sleep 500");
  int answered = 0, overloaded = 0;
  for (WsClient& client : clients) {
    std::optional<WsFrame> frame = client.next_frame();
    ASSERT_TRUE(frame);
    if (frame->opcode == 8) {
      EXPECT_EQ(frame->close_code(), 1013);
      ++overloaded;
    } else {
      EXPECT_EQ(frame->payload, "slept");
      ++answered;
    }
  }
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(overloaded, 3);
  EXPECT_EQ(gw.counter("backend.overloaded"), 3u);
}

TEST(Php, TcpClientsReachTheSameApplication) {
  Fpm fpm(kApp);
  Gateway gw(
      {.tables = "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"app\"\n"
                 "framing = { kind = \"length\", offset = 0, size = 4, order = \"big\", "
                 "includes_header = false }\n" +
                 fpm.backend()});
  LengthClient client(gw.listener());
  client.send("echo over tcp");
  EXPECT_EQ(client.next(), "echo over tcp");
}

TEST(Php, PushDuringTheConnectEventArrivesBehindTheHandshake) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_tables(fpm)});
  std::thread pusher([&] {
    std::string session;
    eventually([&] {
      std::string log = fpm.app_log();
      size_t at = log.find("connect ");
      if (at == std::string::npos || log.find('\n', at) == std::string::npos) return false;
      session = log.substr(at + 8, 32);
      return true;
    });
    HttpClient(gw.api()).post("/v1/send", send_body({session}, "early"));
  });
  WsClient client(gw.listener(), "/ws?slow=1");
  EXPECT_EQ(client.next_text(), "early");
  pusher.join();
}

}  // namespace
}  // namespace holdfast::test
