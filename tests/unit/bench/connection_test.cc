// A Connection against a socket that the test serves by hand.
#include "bench/load/connection.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "wire/ws/handshake.h"

namespace holdfast::bench {
namespace {

class Seen : public ConnectionSink {
 public:
  void on_open(Connection&, std::string_view id) override { session = id; }
  void on_message(Connection&, std::string_view payload) override {
    messages.emplace_back(payload);
  }
  void on_end(Connection&, End why) override { end = why; }
  std::string session;
  std::vector<std::string> messages;
  std::optional<End> end;
};

class BenchConnection : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/bench-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    address_ = *conf::parse_address("unix:" + folder_ + "/s");
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_.raw), address_.raw_bytes),
              0);
    ASSERT_EQ(listen(listener_.get(), 1), 0);
    epoll_ = UniqueFd(epoll_create1(0));
    where_ = {.address = &address_, .host = "localhost", .epoll = epoll_.get()};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Starts and accepts.
  void start() {
    ASSERT_EQ(connection_.start(where_, "/ws?channel=x", 0, 12'345), Started::under_way);
    server_ = UniqueFd(accept(listener_.get(), nullptr, nullptr));
    turn();
  }
  // Lets the connection see what is ready, bounded.
  void turn() {
    epoll_event event{};
    if (epoll_wait(epoll_.get(), &event, 1, 1000) == 1)
      connection_.on_ready(where_, event.events, scratch_, seen_);
  }
  std::string server_reads() {
    char bytes[65'536];
    ssize_t got = recv(server_.get(), bytes, sizeof bytes, 0);
    return {bytes, size_t(got > 0 ? got : 0)};
  }
  void server_writes(std::string_view bytes) {
    ASSERT_EQ(write(server_.get(), bytes.data(), bytes.size()), ssize_t(bytes.size()));
  }
  std::string accepting_answer(const std::string& request) {
    size_t at = request.find("Sec-WebSocket-Key: ") + 19;
    return "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + ws::accept_value(request.substr(at, 24)) +
           "\r\nHoldfast-Session: s1\r\n\r\n";
  }
  void open() {
    start();
    server_writes(accepting_answer(server_reads()));
    turn();
    ASSERT_EQ(connection_.state(), Connection::State::open);
  }

  std::string folder_;
  conf::Address address_;
  UniqueFd listener_, server_, epoll_;
  Endpoint where_;
  std::vector<char> scratch_ = std::vector<char>(4096);
  Connection connection_;
  Seen seen_;
};

TEST_F(BenchConnection, OpensWithASession) {
  start();
  std::string request = server_reads();
  EXPECT_TRUE(request.starts_with("GET /ws?channel=x HTTP/1.1\r\nHost: localhost\r\n"));
  server_writes(accepting_answer(request));
  turn();
  EXPECT_EQ(connection_.state(), Connection::State::open);
  EXPECT_EQ(seen_.session, "s1");
}

TEST_F(BenchConnection, MessagesBehindTheHandshakeAreSeen) {
  start();
  server_writes(accepting_answer(server_reads()) + std::string("\x81\x02hi\x81\x01!", 7));
  turn();
  EXPECT_EQ(seen_.messages, (std::vector<std::string>{"hi", "!"}));
}

TEST_F(BenchConnection, MessageInPiecesIsSeenOnce) {
  open();
  std::string frame = std::string("\x82\x7e\x01\x00", 4) + std::string(256, 'x');
  for (size_t at = 0; at < frame.size(); at += 50) {
    EXPECT_TRUE(seen_.messages.empty());
    server_writes(frame.substr(at, 50));
    turn();
  }
  EXPECT_EQ(seen_.messages, std::vector<std::string>{std::string(256, 'x')});
}

TEST_F(BenchConnection, PingIsAnsweredWithItsPayload) {
  open();
  server_writes(
      std::string("\x89\x03"
                  "abc",
                  5));
  turn();
  std::string pong = server_reads();
  ASSERT_EQ(pong.size(), 2u + 4 + 3);
  EXPECT_EQ(uint8_t(pong[0]), 0x8a);
  EXPECT_EQ(uint8_t(pong[1]), 0x83);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(pong[6 + i] ^ pong[2 + i], "abc"[i]);
}

TEST_F(BenchConnection, RefusedHandshakeEndsIt) {
  start();
  server_writes("HTTP/1.1 403 Forbidden\r\n\r\n");
  turn();
  EXPECT_EQ(seen_.end, End::refused);
  EXPECT_FALSE(connection_.was_open);
}

TEST_F(BenchConnection, ServerThatGoesClosedIt) {
  open();
  server_.reset();
  turn();
  EXPECT_EQ(seen_.end, End::closed);
}

TEST_F(BenchConnection, CloseFrameFromTheServerClosedIt) {
  open();
  server_writes(std::string("\x88\x02\x03\xe9", 4));
  turn();
  EXPECT_EQ(seen_.end, End::closed);
}

TEST_F(BenchConnection, MaskedFrameBreaksIt) {
  open();
  server_writes(std::string("\x81\x80\x00\x00\x00\x00", 6));
  turn();
  EXPECT_EQ(seen_.end, End::broken);
}

TEST_F(BenchConnection, GoodbyeLeavesWithoutBlame) {
  open();
  connection_.goodbye(where_);
  std::string close = server_reads();
  EXPECT_EQ(uint8_t(close[0]), 0x88);
  server_writes(std::string("\x88\x02\x03\xe8", 4));
  turn();
  EXPECT_EQ(connection_.state(), Connection::State::leaving);
  server_.reset();
  turn();
  EXPECT_EQ(seen_.end, End::left);
}

TEST_F(BenchConnection, CutIsAResetAndItMayStartAgain) {
  open();
  connection_.cut(seen_);
  EXPECT_EQ(seen_.end, End::left);
  char byte = 0;
  EXPECT_LE(recv(server_.get(), &byte, 1, 0), 0);
  EXPECT_FALSE(connection_.was_open);
  open();
  EXPECT_EQ(connection_.state(), Connection::State::open);
}

}  // namespace
}  // namespace holdfast::bench
