// Programs written for the fooking gateway push through a listener that speaks its router's wire.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

enum Type { kKick = 4, kSend, kSendAll, kJoin, kLeave, kPublish, kInfo = 12 };

void put_be(std::string& out, uint64_t value, int bytes) {
  while (bytes-- > 0) out += char(value >> (8 * bytes));
}

std::string message(int type, const std::string& whom, const std::string& what) {
  std::string out;
  put_be(out, uint64_t(type), 2);
  put_be(out, whom.size(), 2);
  put_be(out, what.size(), 4);
  return out + whom + what;
}

std::string router_tables() {
  return echo_ws() +
         "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"router\"\n"
         "[[api]]\naddress = \"unix:@DIR@/router.sock\"\nprotocol = \"router\"\n";
}

std::string unix_router(const Gateway& gw) {
  return "unix:" + gw.dir() + "/router.sock";
}

// Two clients, one on each worker, and what programs say to them.
class RouterWire : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u); }
  const std::string& id(size_t n) const { return clients[n].session(); }
  std::string all() const { return id(0) + id(1); }
  // The next message of both.
  std::string next() {
    std::string first = clients[0].next_text();
    EXPECT_EQ(clients[1].next_text(), first);
    return first;
  }

  Gateway gw{{.tables = router_tables()}};
  std::vector<WsClient> clients = gw.one_on_each("/ws", {0, 1});
};

TEST_F(RouterWire, OneMessageReachesSeveralSessionsOfBothWorkers) {
  Stream program(gw.api(1));
  program.write(message(kSend, all(), "to both"));
  EXPECT_EQ(next(), "to both");
  program.write(message(kSend, id(1), "to one") + message(kSendAll, "", "to all"));
  EXPECT_EQ(clients[0].next_text(), "to all");
  EXPECT_EQ(clients[1].next_text(), "to one");
  EXPECT_EQ(clients[1].next_text(), "to all");
}

// In one piece: each change is in force for what stands behind it.
TEST_F(RouterWire, JoinPublishAndLeaveTakeEffectInTheirOrder) {
  Stream program(gw.api(1));
  program.write(message(kJoin, all(), "room") + message(kPublish, "room", "one") +
                message(kLeave, id(0), "room") + message(kPublish, "room", "two") +
                message(kSendAll, "", "end"));
  EXPECT_EQ(clients[0].next_text(), "one");
  EXPECT_EQ(clients[0].next_text(), "end");
  EXPECT_EQ(clients[1].next_text(), "one");
  EXPECT_EQ(clients[1].next_text(), "two");
  EXPECT_EQ(clients[1].next_text(), "end");
}

TEST_F(RouterWire, KickEndsTheSessionsNamed) {
  Stream program(gw.api(1));
  program.write(message(kKick, all(), ""));
  for (WsClient& client : clients) EXPECT_EQ(client.wait_close(), 4000);
  EXPECT_EQ(gw.counter_becomes("sessions.closed_kicked", 2), 2u);
}

TEST_F(RouterWire, PayloadThatIsNoTextArrivesAsBinary) {
  Stream program(gw.api(1));
  program.write(message(kSend, id(0), "\xff\xfe") + message(kSend, id(0), "gr\xc3\xbc\xc3\x9f"));
  std::optional<WsFrame> frame = clients[0].next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 2);
  EXPECT_EQ(frame->payload, "\xff\xfe");
  frame = clients[0].next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 1);
}

TEST_F(RouterWire, InfoCountsClientsAndChannelsOfEachWorker) {
  Stream program(unix_router(gw));
  program.write(message(kJoin, all(), "both") + message(kJoin, id(1), "one") +
                message(kInfo, "", ""));
  std::string body = "clients: 2\r\nchannels: 3\r\ngateway: 1\t0\t1\t1\r\ngateway: 1\t1\t1\t2\r\n";
  std::string wanted = message(kInfo, "", body);
  EXPECT_EQ(program.read_exactly(wanted.size()), wanted);
}

// As PHP does it whose request ends with the push.
TEST_F(RouterWire, WhoSendsOneMessageAndClosesIsHeard) {
  for (int i = 0; i < 100; ++i) {
    std::string text = std::to_string(i);
    Stream program(i % 2 == 0 ? gw.api(1) : unix_router(gw));
    program.write(message(kSend, all(), text));
    program.close();
    EXPECT_EQ(next(), text);
  }
  EXPECT_EQ(gw.counter("api.errors") + gw.counter("api.bad_input"), 0u);
}

// And as it does it where nobody closes until its garbage is collected.
TEST_F(RouterWire, ConnectionsMayStayOpenUnused) {
  std::vector<Stream> programs;
  for (int i = 0; i < 50; ++i) {
    programs.emplace_back(gw.api(1));
    programs.back().write(message(kSendAll, "", std::to_string(i)));
    EXPECT_EQ(next(), std::to_string(i));
  }
  programs.front().write(message(kSendAll, "", "again"));
  EXPECT_EQ(next(), "again");
  clients.clear();
  EXPECT_EQ(gw.stop(), 0);
}

// Nobody is told that a message was lost; so a worker that drains still hears who came before.
TEST_F(RouterWire, WhoCameBeforeAReloadIsHeardAfterIt) {
  std::vector<Stream> programs;
  for (int i = 0; i < 8; ++i) programs.emplace_back(gw.api(1));
  ASSERT_EQ(gw.counter_becomes("connections.open", 10), 10u);
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == 2; }));
  for (Stream& program : programs) {
    program.write(message(kSend, all(), "late"));
    EXPECT_EQ(next(), "late");
  }
}

// More than one turn's worth, and the end of the stream right behind it.
TEST_F(RouterWire, EverythingThatCameWholeIsCarriedOutBeforeTheEnd) {
  constexpr int kMany = 500;
  std::string bytes = message(kJoin, all(), "room");
  for (int i = 0; i < kMany; ++i) bytes += message(kPublish, "room", std::to_string(i));
  bytes += message(kPublish, "room", "never complete").substr(0, 12);
  Stream program(gw.api(1));
  program.write(bytes);
  ASSERT_EQ(shutdown(program.fd(), SHUT_WR), 0);
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(next(), std::to_string(i));
  EXPECT_TRUE(program.at_end());
}

TEST_F(RouterWire, WhatMakesNoSenseIsLeftOutAndLogged) {
  Stream program(gw.api(1));
  program.write(message(kSend, id(0) + "0", "bad id") + message(1, "secret", "a gateway's") +
                message(kJoin, id(0), "") + message(99, "", "?") + message(kSendAll, "", "good"));
  EXPECT_EQ(next(), "good");
  EXPECT_EQ(gw.counter("api.errors"), 4u);
  EXPECT_NE(gw.log().find("router message left out listener="), std::string::npos) << gw.log();
}

TEST_F(RouterWire, ALengthThatCannotBeEndsThatConnectionOnly) {
  Stream good(gw.api(1));
  good.write(message(kSendAll, "", "before"));
  EXPECT_EQ(next(), "before");
  for (const std::string& bytes :
       {std::string("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        std::string("*1\r\n$4\r\nPING\r\n"), std::string("\0\5\0\0\xff\xff\xff\xff", 8)}) {
    Stream bad(gw.api(1));
    bad.write(bytes + message(kSendAll, "", "not this"));
    EXPECT_TRUE(bad.at_end());
  }
  EXPECT_EQ(gw.counter("api.bad_input"), 3u);
  good.write(message(kSendAll, "", "after"));
  EXPECT_EQ(next(), "after");
}

}  // namespace
}  // namespace holdfast::test
