// RFC 6455 as a client sees it, and framed TCP, through a real worker.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

std::string upgrade(const std::string& target, const std::string& more = {},
                    const std::string& method = "GET") {
  return method + " " + target +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more +
         "\r\n";
}

int status_of(Gateway& gw, const std::string& request) {
  HttpClient client(gw.listener());
  client.send_raw(request);
  return client.read_answer().status;
}

TEST(WebSocket, HandshakesThatCannotBeAreAnsweredWithAFittingStatus) {
  Gateway gw({.tables = echo_ws()});
  EXPECT_EQ(status_of(gw, upgrade("/elsewhere")), 404);
  EXPECT_EQ(status_of(gw, upgrade("/ws", {}, "POST")), 405);
  EXPECT_EQ(status_of(gw, "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"), 426);
  EXPECT_EQ(status_of(gw, "GET /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"), 413);
  EXPECT_EQ(status_of(gw, "NONSENSE\r\n\r\n"), 400);
  EXPECT_EQ(status_of(gw, upgrade("/ws", "X-Long: " + std::string(20000, 'x') + "\r\n")), 431);
  EXPECT_EQ(status_of(gw, upgrade("/ws", "Origin: http://evil.example\r\n")), 403);
  EXPECT_EQ(gw.counter_becomes("handshakes.refused", 7), 7u);
  EXPECT_EQ(gw.counter("sessions.opened"), 0u);
}

// Part of what somebody asked for would be worse than a refusal.
TEST(WebSocket, RelayRefusesAChannelThatCannotBeDecoded) {
  Gateway gw({.tables = relay_ws()});
  for (const char* query : {"channel=%zz", "channel=a&channel=%4", "channel="})
    EXPECT_EQ(status_of(gw, upgrade(std::string("/ws?") + query)), 400) << query;
  EXPECT_NO_THROW(WsClient(gw.listener(), "/ws?channel=%61&other=%zz"));
}

TEST(WebSocket, FullServerAnswers503) {
  Gateway gw({.limits = "max_sessions = 2", .tables = echo_ws()});
  WsClient one(gw.listener(), "/ws"), two(gw.listener(), "/ws");
  HttpClient third(gw.listener());
  third.send_raw(upgrade("/ws"));
  HttpAnswer answer = third.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.header("Retry-After"), "");
  EXPECT_EQ(gw.counter("sessions.refused_full"), 1u);
}

TEST(WebSocket, SlowHandshakeIsCutOff) {
  Gateway gw({.limits = "handshake_timeout = \"200ms\"", .tables = echo_ws()});
  Stream slow(gw.listener());
  slow.write("GET /ws HTTP/1.1\r\nHost:");
  EXPECT_TRUE(slow.at_end());
  EXPECT_EQ(gw.counter_becomes("handshakes.timed_out", 1), 1u);
}

TEST(WebSocket, EchoesTextBinaryEmptyAndLong) {
  Gateway gw({.tables = echo_ws()});
  WsClient client(gw.listener(), "/ws");
  for (const std::string& text :
       {std::string("hello"), std::string(), std::string(125, 'a'), std::string(126, 'b'),
        std::string(65535, 'c'), std::string(65536, 'd')}) {
    client.send_text(text);
    std::optional<WsFrame> frame = client.next_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, 1);
    EXPECT_EQ(frame->payload, text);
  }
  client.send_binary(std::string("\0\xff\x80", 3));
  std::optional<WsFrame> frame = client.next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 2);
  EXPECT_EQ(frame->payload, std::string("\0\xff\x80", 3));
}

TEST(WebSocket, FragmentsWithAPingBetweenBecomeOneMessage) {
  Gateway gw({.tables = echo_ws()});
  WsClient client(gw.listener(), "/ws");
  client.send_frame(1, "Hel", false);
  client.send_frame(9, "are you there");
  client.send_frame(0, "lo", true);
  std::optional<WsFrame> pong = client.next_frame();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->opcode, 10);
  EXPECT_EQ(pong->payload, "are you there");
  EXPECT_EQ(client.next_text(), "Hello");
}

TEST(WebSocket, BytesThatBreakTheRulesCostTheirCloseCode) {
  Gateway gw({.tables = echo_ws()});
  struct Row {
    std::string what, bytes;
    uint16_t code;
  };
  char huge[8];
  store_be64(huge, 1u << 20);
  for (const Row& row :
       {Row{"no mask", "\x81\x01x", 1002},
        Row{"reserved bit", std::string("\xc1\x80\0\0\0\0", 6), 1002},
        Row{"unknown opcode", std::string("\x83\x80\0\0\0\0", 6), 1002},
        Row{"fragmented ping", std::string("\x09\x80\0\0\0\0", 6), 1002},
        Row{"continuation of nothing", std::string("\x80\x80\0\0\0\0", 6), 1002},
        Row{"bad UTF-8", std::string("\x81\x81\0\0\0\0\xff", 7), 1007},
        Row{"close code 1005", std::string("\x88\x82\0\0\0\0\x03\xed", 8), 1002},
        Row{"too long", "\x82\xff" + std::string(huge, 8) + std::string(4, '\0'), 1009}}) {
    WsClient client(gw.listener(), "/ws");
    client.send_raw(row.bytes);
    EXPECT_EQ(client.wait_close(), row.code) << row.what;
    client.close(row.code);
    EXPECT_TRUE(client.stream().at_end()) << row.what;
  }
  EXPECT_EQ(gw.counter("sessions.closed_protocol"), 8u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
}

TEST(WebSocket, CloseIsEchoedAndTheServerEndsTheConnection) {
  Gateway gw({.tables = echo_ws()});
  WsClient client(gw.listener(), "/ws");
  client.close(1000);
  EXPECT_EQ(client.wait_close(), 1000);
  EXPECT_TRUE(client.stream().at_end());
  EXPECT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  client.stream().close();
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
}

TEST(WebSocket, ServerPingsAndClosesTheSilent) {
  Gateway gw({.tables = echo_ws("ping_interval = \"200ms\"\nidle_timeout = \"600ms\"")});
  WsClient answering(gw.listener(), "/ws");
  Stream silent(gw.listener());
  silent.write(upgrade("/ws"));
  silent.read_until("\r\n\r\n");
  // The one that answers pings outlives the one that does not.
  std::string seen;
  bool saw_close = false;
  while (!saw_close) {
    bool ended = false;
    answering.silent(20);
    while (answering.stream().buffer().size() >= 2) {
      answering.stream().buffer().erase(0, 2);  // pings without payload
      answering.send_frame(10, "");
    }
    silent.read_more_within(20, &ended);
    saw_close = silent.buffer().find("\x88") != std::string::npos;
    ASSERT_FALSE(ended && !saw_close);
  }
  EXPECT_EQ(gw.counter("sessions.closed_idle"), 1u);
  EXPECT_EQ(gw.counter("sessions.online"), 1u);
  EXPECT_GT(gw.counter("pings.sent"), 0u);
  EXPECT_GT(gw.counter("pings.answered"), 0u);
}

TEST(WebSocket, OriginIsCheckedAgainstTheList) {
  Gateway gw({.tables = echo_ws("origins = [\"https://shop.example\"]")});
  EXPECT_NO_THROW(WsClient(gw.listener(), "/ws", {.origin = "https://shop.example"}));
  EXPECT_THROW(WsClient(gw.listener(), "/ws", {.origin = "https://evil.example"}), Refused);
}

TEST(Tcp, LengthThatIncludesItsOwnHeaderIsUnderstood) {
  // Like CMPP: a 4-byte total length that counts itself, then command and sequence.
  Gateway gw({.tables =
                  "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"echo\"\n"
                  "framing = { kind = \"length\", offset = 0, size = 4, order = \"big\", "
                  "includes_header = true }\n"});
  Stream client(gw.listener());
  std::string frame("\0\0\0\x0e\0\0\0\x01\0\0\0\x07ok", 14);
  for (char byte : frame) client.write({&byte, 1});
  EXPECT_EQ(client.read_exactly(14), frame);
}

TEST(Tcp, DelimitedLinesAndTooLongOnes) {
  Gateway gw({.limits = "max_message_size = \"1 KiB\"",
              .tables =
                  "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"echo\"\n"
                  "framing = { kind = \"delimiter\", bytes = \"\\r\\n\" }\n"});
  Stream client(gw.listener());
  client.write("one\r\ntw");
  EXPECT_EQ(client.read_until("\r\n"), "one\r\n");
  client.write("o\r");
  client.write("\n");
  EXPECT_EQ(client.read_until("\r\n"), "two\r\n");
  client.write(std::string(2000, 'x'));
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(gw.counter_becomes("sessions.closed_protocol", 1), 1u);
}

TEST(Page, IsServedAtTheRootAndNothingElseIs) {
  TempDir dir;
  write_file(dir / "index.html", "<!doctype html><p>hello page");
  Gateway gw({.tables = echo_ws("page = \"" + (dir / "index.html") + "\"")});
  HttpAnswer page = HttpClient(gw.listener()).get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<!doctype html><p>hello page");
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(HttpClient(gw.listener()).get("/../etc/passwd").status, 404);
}

}  // namespace
}  // namespace holdfast::test
