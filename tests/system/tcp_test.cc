// Framed TCP and an application behind php-fpm: what a client that has said all may still expect.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

std::string app_lines(const std::string& more = {}) {
  return "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"app\"\n"
         "framing = { kind = \"delimiter\", bytes = \"\\n\" }\n" +
         more;
}

// Answers each message with its body, not before `go` says so, and writes down what it is told.
constexpr const char* kPatientApp =
    "$e = $_SERVER['HOLDFAST_EVENT'];"
    "if ($e == 'message') while (!file_exists(dirname(LOGFILE) . '/go')) { usleep(5000); "
    "clearstatcache(); }"
    "$body = file_get_contents('php://input');"
    "file_put_contents(LOGFILE, trim(\"$e $body \" . ($_SERVER['HOLDFAST_REASON'] ?? '')) . "
    "\"\\n\","
    " FILE_APPEND | LOCK_EX);"
    "if ($e == 'message') echo \"re $body\";";

void let_go(const Fpm& fpm) {
  std::string file = fpm.log_file();
  write_file(file.substr(0, file.rfind('/')) + "/go", "");
}

TEST(HalfClosed, ClientGetsTheAnswersToWhatItHasSent) {
  Fpm fpm(kPatientApp);
  Gateway gw({.tables = app_lines() + fpm.backend()});
  Stream client(gw.listener());
  client.write("1\n2\n3\n");
  shutdown(client.fd(), SHUT_WR);
  ASSERT_EQ(gw.counter_becomes("messages.in", 3), 3u);
  EXPECT_EQ(gw.counter("sessions.online"), 1u);
  let_go(fpm);
  EXPECT_EQ(client.read_until("re 3\n"), "re 1\nre 2\nre 3\n");
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(gw.counter_becomes("events.close", 1), 1u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
  EXPECT_EQ(fpm.app_log(), "connect\nmessage 1\nmessage 2\nmessage 3\nclose  client closed\n");
}

TEST(HalfClosed, ClientIsClosedWhenTheBackendDoesNotAnswerInTime) {
  Fpm fpm(kPatientApp);
  Gateway gw({.tables = app_lines() + fpm.backend("read_timeout = \"300ms\"\n")});
  Stream client(gw.listener());
  client.write("1\n2\n");
  shutdown(client.fd(), SHUT_WR);
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(gw.counter_becomes("sessions.closed_backend", 1), 1u);
  let_go(fpm);
  EXPECT_EQ(gw.counter_becomes("events.close", 1), 1u);
}

TEST(AnswerTooLong, ClosesItsSessionWith1011AndIsCounted) {
  Fpm fpm(
      "if ($_SERVER['HOLDFAST_EVENT'] == 'message')"
      " echo str_repeat('x', (int)file_get_contents('php://input'));");
  Gateway gw(
      {.limits = "max_message_size = \"1 KiB\"", .tables = app_ws() + app_lines() + fpm.backend()});
  WsClient web(gw.listener(0), "/ws");
  web.send_text("1024");
  EXPECT_EQ(web.next_text().size(), 1024u);
  web.send_text("1025");
  EXPECT_EQ(web.wait_close(), 1011);
  Stream tcp(gw.listener(1));
  tcp.write("1025\n");
  EXPECT_TRUE(tcp.at_end());
  EXPECT_EQ(gw.counter("backend.answers_too_long"), 2u);
  EXPECT_EQ(gw.counter("sessions.closed_backend"), 2u);
  EXPECT_NE(gw.log().find("answer too long session=" + web.session() + " bytes=1025 limit=1024"),
            std::string::npos)
      << gw.log();
}

}  // namespace
}  // namespace holdfast::test
