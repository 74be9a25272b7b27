#include "wire/ws/handshake.h"

#include <gtest/gtest.h>

namespace holdfast::ws {
namespace {

using Headers = std::vector<http::Header>;

http::Request opening(const Headers& changes = {}) {
  http::Request request;
  request.method = "GET";
  request.target = "/ws";
  request.headers = {{"Host", "example.com"},
                     {"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                     {"Sec-WebSocket-Version", "13"}};
  for (const http::Header& change : changes) {
    std::erase_if(request.headers, [&](const http::Header& h) { return h.name == change.name; });
    if (change.value != "-") request.headers.push_back(change);
  }
  return request;
}

int status(const http::Request& request, const std::vector<std::string>& origins = {"*"}) {
  HandshakeVerdict verdict = judge(request, origins);
  EXPECT_EQ(verdict.status == 101, verdict.why.empty());
  return verdict.status;
}

TEST(Handshake, AnswersTheExampleKeyOfRfc6455) {
  EXPECT_EQ(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Handshake, JudgesEveryHeaderItNeeds) {
  struct Row {
    const char* what;
    Headers changes;  // "-" takes a header away
    int status;
  };
  const Row rows[] = {
      {"as it should be", {}, 101},
      {"names and tokens in any case", {{"Upgrade", "WebSocket"}, {"Connection", "upgrade"}}, 101},
      {"one token of a list",
       {{"Upgrade", "h2c, websocket"}, {"Connection", "keep-alive, Upgrade"}},
       101},
      {"no Upgrade", {{"Upgrade", "-"}}, 426},
      {"another Upgrade", {{"Upgrade", "h2c"}}, 426},
      {"part of a token", {{"Upgrade", "websockets"}}, 426},
      {"no Connection", {{"Connection", "-"}}, 426},
      {"another Connection", {{"Connection", "keep-alive"}}, 426},
      {"no version", {{"Sec-WebSocket-Version", "-"}}, 426},
      {"version 8", {{"Sec-WebSocket-Version", "8"}}, 426},
      {"version 130", {{"Sec-WebSocket-Version", "130"}}, 426},
      {"no Host", {{"Host", "-"}}, 400},
      {"empty Host", {{"Host", ""}}, 400},
      {"no key", {{"Sec-WebSocket-Key", "-"}}, 400},
      {"empty key", {{"Sec-WebSocket-Key", ""}}, 400},
      {"key of 15 bytes", {{"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"}}, 400},
      {"key of 17 bytes", {{"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAA="}}, 400},
      {"key of 18 bytes", {{"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAAA"}}, 400},
      {"key not base64", {{"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA-_=="}}, 400},
      {"padding inside", {{"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAA==="}}, 400},
  };
  for (const Row& row : rows) EXPECT_EQ(status(opening(row.changes)), row.status) << row.what;
}

TEST(Handshake, TakesOnlyGet) {
  http::Request request = opening();
  request.method = "POST";
  EXPECT_EQ(status(request), 405);
  request.method = "get";  // methods have a case
  EXPECT_EQ(status(request), 405);
}

TEST(Handshake, NeedsHttp11) {
  http::Request request = opening();
  request.version_11 = false;
  EXPECT_EQ(status(request), 400);
}

TEST(Handshake, RefusesWhatMayStandOnlyOnceTwice) {
  struct Row {
    http::Header header;
    int status;
  };
  const Row rows[] = {{{"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}, 400},
                      {{"sec-websocket-version", "13"}, 426},
                      {{"host", "example.com"}, 400}};
  for (const Row& row : rows) {
    http::Request request = opening();
    request.headers.push_back(row.header);
    EXPECT_EQ(status(request), row.status) << row.header.name;
  }
  http::Request request = opening({{"Origin", "https://a.example"}});
  request.headers.push_back({"origin", "https://a.example"});
  EXPECT_EQ(status(request), 400);
}

TEST(Handshake, WithoutAListOnlyTheSameHostMayOpen) {
  struct Row {
    const char* host;
    const char* origin;
    int status;
  };
  const Row rows[] = {
      {"example.com", "-", 101},  // not a browser
      {"example.com", "https://example.com", 101},
      {"example.com", "http://example.com", 101},
      {"Example.com", "HTTPS://EXAMPLE.COM", 101},
      {"example.com:8080", "http://example.com:8080", 101},
      {"example.com:443", "https://example.com", 101},
      {"example.com", "https://example.com:443", 101},
      {"example.com:80", "http://example.com", 101},
      {"[::1]:8080", "http://[::1]:8080", 101},
      {"example.com:80", "https://example.com", 403},
      {"example.com", "http://example.com:8080", 403},
      {"example.com", "https://evil.example", 403},
      {"example.com", "https://example.com.evil.example", 403},
      {"example.com", "https://www.example.com", 403},
      {"example.com", "null", 403},
      {"example.com", "", 403},
      {"example.com", "example.com", 403},
  };
  for (const Row& row : rows)
    EXPECT_EQ(status(opening({{"Host", row.host}, {"Origin", row.origin}}), {}), row.status)
        << row.host << ' ' << row.origin;
}

TEST(Handshake, WithAListOnlyItsOriginsMayOpen) {
  const std::vector<std::string> list{"https://a.example", "HTTPS://B.example:8443", "null"};
  struct Row {
    const char* origin;
    int status;
  };
  const Row rows[] = {
      {"-", 101},
      {"https://a.example", 101},
      {"HTTPS://A.EXAMPLE", 101},
      {"https://b.example:8443", 101},
      {"null", 101},
      {"https://a.example:443", 101},
      {"http://a.example", 403},
      {"http://a.example:443", 403},
      {"https://a.example:444", 403},
      {"https://b.example", 403},
      {"https://xa.example", 403},
      {"https://a.example.evil", 403},
      {"https://example.com", 403},  // the own host is not in the list
  };
  for (const Row& row : rows)
    EXPECT_EQ(status(opening({{"Origin", row.origin}}), list), row.status) << row.origin;
}

TEST(Handshake, AStarLetsEverybodyIn) {
  EXPECT_EQ(status(opening({{"Origin", "https://evil.example"}}), {"*"}), 101);
  EXPECT_EQ(status(opening({{"Origin", "null"}}), {"*"}), 101);
}

TEST(Handshake, AcceptHeadIsCompleteAndKeepsExtraLines) {
  EXPECT_EQ(accept_head("dGhlIHNhbXBsZSBub25jZQ==", "Holdfast-Session: 1\r\nX: y\r\n"),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "Holdfast-Session: 1\r\nX: y\r\n\r\n");
}

TEST(Handshake, ExtraLinesCannotEndTheHead) {
  std::string head =
      accept_head("dGhlIHNhbXBsZSBub25jZQ==", "A: 1\r\n\r\n\x81\x05hello\r\nB: 2\r\n");
  EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4);
  EXPECT_EQ(head.find("hello"), head.npos);
}

}  // namespace
}  // namespace holdfast::ws
