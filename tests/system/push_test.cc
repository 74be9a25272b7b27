// A push that enters at any worker reaches exactly the sessions it is for, on any worker and any transport.

#include <gtest/gtest.h>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

TEST(Push, ReachesASessionOnTheOtherWorkerAndOnTheSame) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=a", {0, 1});
  for (uint16_t from : {uint16_t(0), uint16_t(1)}) {
    HttpClient api = gw.api_on(from);
    for (WsClient& client : clients) {
      HttpAnswer answer =
          api.post("/v1/send", send_body({client.session()}, "from " + std::to_string(from)));
      EXPECT_EQ(answer.status, 200) << answer.body;
      EXPECT_NE(answer.body.find("\"delivered\":1"), std::string::npos) << answer.body;
      EXPECT_EQ(client.next_text(), "from " + std::to_string(from));
    }
  }
  EXPECT_EQ(gw.counter_becomes("push.forwarded", 2), 2u);
}

TEST(Push, ReachesTcpSessionsOnEveryWorker) {
  Gateway gw({.tables = relay_tcp()});
  std::vector<LengthClient> clients;
  for (int i = 0; i < 16; ++i) clients.emplace_back(gw.listener());
  ASSERT_EQ(gw.counter_becomes("sessions.online", 16), 16u);
  for (uint16_t from : {uint16_t(0), uint16_t(1)}) {
    HttpAnswer answer = gw.api_on(from).post("/v1/publish", publish_body({"tcp"}, "tick"));
    EXPECT_NE(answer.body.find("\"delivered\":16"), std::string::npos) << answer.body;
    for (LengthClient& client : clients) EXPECT_EQ(client.next(), "tick");
  }
}

TEST(Push, PublishReachesMembersOnly) {
  Gateway gw({.tables = relay_ws()});
  auto in = gw.one_on_each("/ws?channel=in", {0, 1});
  auto out = gw.one_on_each("/ws?channel=out", {0, 1});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 4), 4u);
  HttpClient api(gw.api());
  HttpAnswer answer = api.post("/v1/publish", publish_body({"in"}, "hello"));
  EXPECT_NE(answer.body.find("\"delivered\":2"), std::string::npos) << answer.body;
  // The marker comes behind anything sent before it, so silence before it is proof.
  api.post("/v1/publish", publish_body({"out"}, "marker"));
  for (WsClient& client : in) EXPECT_EQ(client.next_text(), "hello");
  for (WsClient& client : out) EXPECT_EQ(client.next_text(), "marker");
}

TEST(Push, SendAllReachesEverySessionButTheExcluded) {
  Gateway gw({.tables = relay_ws() + relay_tcp()});
  auto web = gw.one_on_each("/ws?channel=a", {0, 1});
  LengthClient tcp(gw.listener(1));
  ASSERT_EQ(gw.counter_becomes("sessions.online", 3), 3u);
  HttpClient api(gw.api());
  HttpAnswer answer =
      api.post("/v1/send-all", "{\"data\":\"all\",\"exclude\":[\"" + web[0].session() + "\"]}");
  EXPECT_NE(answer.body.find("\"delivered\":2"), std::string::npos) << answer.body;
  EXPECT_EQ(web[1].next_text(), "all");
  EXPECT_EQ(tcp.next(), "all");
  api.post("/v1/send", send_body({web[0].session()}, "marker"));
  EXPECT_EQ(web[0].next_text(), "marker");
}

TEST(Push, JoinAndLeaveMoveSessionsOfAnyWorker) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=start", {0, 1});
  HttpClient api(gw.api());
  std::string both = "[\"" + clients[0].session() + "\",\"" + clients[1].session() + "\"]";
  EXPECT_EQ(api.post("/v1/join", "{\"sessions\":" + both + ",\"channels\":[\"news\"]}").status,
            200);
  EXPECT_NE(api.post("/v1/publish", publish_body({"news"}, "one")).body.find("\"delivered\":2"),
            std::string::npos);
  for (WsClient& client : clients) EXPECT_EQ(client.next_text(), "one");
  EXPECT_EQ(api.post("/v1/leave",
                     "{\"sessions\":[\"" + clients[0].session() + "\"],\"channels\":[\"news\"]}")
                .status,
            200);
  EXPECT_NE(api.post("/v1/publish", publish_body({"news"}, "two")).body.find("\"delivered\":1"),
            std::string::npos);
  EXPECT_EQ(clients[1].next_text(), "two");
  api.post("/v1/send", send_body({clients[0].session()}, "marker"));
  EXPECT_EQ(clients[0].next_text(), "marker");
}

// What was answered has happened: the publish behind a join reaches the session that joined, whichever workers hold the
// session and the publisher.
TEST(Push, PublishBehindAJoinReachesTheNewcomer) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=start", {0, 1});
  HttpClient api(gw.api());
  for (int i = 0; i < 200; ++i) {
    std::string channel = "c" + std::to_string(i);
    for (WsClient& client : clients)
      api.post("/v1/join",
               "{\"sessions\":[\"" + client.session() + "\"],\"channels\":[\"" + channel + "\"]}");
    HttpAnswer answer = api.post("/v1/publish", publish_body({channel}, channel));
    ASSERT_NE(answer.body.find("\"delivered\":2"), std::string::npos) << i << ' ' << answer.body;
    for (WsClient& client : clients) {
      ASSERT_EQ(client.next_text(), channel);
      api.post("/v1/leave",
               "{\"sessions\":[\"" + client.session() + "\"],\"channels\":[\"" + channel + "\"]}");
    }
  }
}

TEST(Push, KickClosesWithCodeAndReasonOnAnyWorker) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=a", {0, 1});
  HttpClient api(gw.api());
  for (WsClient& client : clients) {
    EXPECT_EQ(api.post("/v1/kick", "{\"sessions\":[\"" + client.session() +
                                       "\"],\"code\":4001,\"reason\":\"out\"}")
                  .status,
              200);
    std::optional<WsFrame> frame = client.next_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, 8);
    EXPECT_EQ(frame->close_code(), 4001);
    EXPECT_EQ(frame->payload.substr(2), "out");
  }
  EXPECT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter("sessions.closed_kicked"), 2u);
}

TEST(Push, UnknownSessionsAreNamedAndTheOthersServed) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  std::string unknown(32, 'a');
  HttpAnswer answer =
      HttpClient(gw.api()).post("/v1/send", send_body({unknown, client.session()}, "x"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("\"delivered\":1"), std::string::npos) << answer.body;
  EXPECT_NE(answer.body.find("\"unknown\":[\"" + unknown + "\"]"), std::string::npos)
      << answer.body;
  EXPECT_EQ(client.next_text(), "x");
}

TEST(Push, BadRequestsHaveNoEffect) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  HttpClient api(gw.api());
  std::string id = client.session();
  struct Row {
    std::string path, body;
    int status;
  };
  for (const Row& row :
       {Row{"/v1/send", "{\"sessions\":[\"" + id + "\"],\"data\":\"x\"", 400},
        Row{"/v1/send", "{\"sessions\":[\"" + id + "\",\"nonsense\"],\"data\":\"x\"}", 400},
        Row{"/v1/send", "{\"sessions\":[\"" + id + "\"]}", 400},
        Row{"/v1/publish", "{\"channels\":[\"a\"],\"data\":\"x\",\"dat\":1}", 400},
        Row{"/v1/publish", "{\"channels\":[\"a\"],\"data\":\"" + std::string(70000, 'x') + "\"}",
            413},
        Row{"/v1/nothing", "{}", 404}}) {
    HttpAnswer answer = api.post(row.path, row.body);
    EXPECT_EQ(answer.status, row.status) << row.path << ' ' << row.body.substr(0, 80) << "\n"
                                         << answer.body;
    EXPECT_NE(answer.body.find("\"error\""), std::string::npos);
  }
  HttpClient(gw.api()).post("/v1/send", send_body({id}, "marker"));
  EXPECT_EQ(client.next_text(), "marker");
}

TEST(Push, OversizedBodyIsRefusedWith413) {
  Gateway gw({.tables = relay_ws()});
  HttpClient api(gw.api());
  api.send_raw("POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n");
  HttpAnswer answer = api.read_answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_NE(answer.body.find("\"error\""), std::string::npos);
}

TEST(Push, WithoutATokenHostMustBeOurs) {
  Gateway gw(
      {.tables = relay_ws() + "[[api]]\naddress = \"127.0.0.1:0\"\nhosts = [\"push.internal\"]\n"});
  auto status = [&](const std::string& request) {
    Stream stream(gw.api(1));
    stream.write(request);
    return stream.read_until("\r\n");
  };
  auto by = [](const std::string& host) {
    return "GET /v1/sessions HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  };
  EXPECT_EQ(status(by("evil.example:8081")), "HTTP/1.1 403 Forbidden\r\n");
  EXPECT_EQ(
      status("POST /v1/send-all HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n"),
      "HTTP/1.1 403 Forbidden\r\n");
  EXPECT_EQ(gw.counter("api.bad_host"), 2u);
  for (const std::string& host :
       {gw.api(1), std::string("localhost"), std::string("push.internal")})
    EXPECT_EQ(status(by(host)), "HTTP/1.1 200 OK\r\n") << host;
  EXPECT_EQ(status("GET /v1/sessions HTTP/1.0\r\n\r\n"), "HTTP/1.1 200 OK\r\n");
}

TEST(Push, TokensAreAskedForWhereConfigured) {
  TempDir dir;
  write_file(dir / "token", "# pushers\nsecret-of-the-shop-1\n");
  EXPECT_EQ(chmod((dir / "token").c_str(), 0600), 0);
  Gateway gw({.tables = relay_ws() +
                        "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\ntoken_file = \"" +
                        (dir / "token") + "\"\n"});
  HttpClient api(gw.api(1));
  EXPECT_EQ(api.post("/v1/send-all", "{\"data\":\"x\"}").status, 401);
  EXPECT_EQ(api.request("POST", "/v1/send-all", "{\"data\":\"x\"}",
                        "Authorization: Bearer secret-of-the-shop-2\r\n")
                .status,
            401);
  EXPECT_EQ(api.request("POST", "/v1/send-all", "{\"data\":\"x\"}",
                        "Authorization: Bearer secret-of-the-shop-1\r\n")
                .status,
            200);
  EXPECT_EQ(gw.counter_becomes("api.unauthorized", 2), 2u);
}

TEST(Push, PipelinedRequestsAreAnsweredAndDeliveredInOrder) {
  Gateway gw({.tables = relay_ws()});
  auto clients = gw.one_on_each("/ws?channel=a", {0, 1});
  HttpClient api(gw.api());
  std::string all;
  for (int i = 0; i < 200; ++i) {
    std::string body = send_body({clients[0].session(), clients[1].session()}, std::to_string(i));
    all += "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  api.send_raw(all);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(api.read_answer().status, 200);
  for (WsClient& client : clients)
    for (int i = 0; i < 200; ++i) ASSERT_EQ(client.next_text(), std::to_string(i));
}

TEST(Push, RelayCarriesAMessageBetweenTransports) {
  Gateway gw({.tables = relay_ws() + relay_tcp()});
  WsClient web(gw.listener(0), "/ws?channel=tcp");
  LengthClient tcp(gw.listener(1));
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  web.send_text("to all of them");
  EXPECT_EQ(web.next_text(), "to all of them");
  EXPECT_EQ(tcp.next(), "to all of them");
  tcp.send("and back");
  EXPECT_EQ(web.next_text(), "and back");
}

TEST(Push, BatchRunsItsCommandsInOrderWithAStatusEach) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  HttpAnswer answer = HttpClient(gw.api()).post(
      "/v1/batch",
      "{\"commands\":[{\"op\":\"join\",\"sessions\":[\"" + client.session() +
          "\"],\"channels\":[\"b\"]},{\"op\":\"publish\",\"channels\":[\"b\"],\"data\":\"1\"},"
          "{\"op\":\"publish\",\"channels\":[7],\"data\":\"2\"},"
          "{\"op\":\"publish\",\"channels\":[\"b\"],\"data\":\"3\"}]}");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_NE(answer.body.find("\"status\":400"), std::string::npos) << answer.body;
  EXPECT_EQ(client.next_text(), "1");
  EXPECT_EQ(client.next_text(), "3");
}

TEST(Push, HealthAndMetricsAreServed) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  HttpClient api(gw.api());
  EXPECT_EQ(api.get("/healthz").status, 200);
  EXPECT_EQ(api.get("/readyz").status, 200);
  EXPECT_NE(api.get("/metrics").body.find("holdfast_sessions_online"), std::string::npos);
  EXPECT_NE(api.get("/v1/stats").body.find("\"sessions.online\":1"), std::string::npos);
  EXPECT_NE(api.get("/v1/channels").body.find("\"a\""), std::string::npos);
}

}  // namespace
}  // namespace holdfast::test
