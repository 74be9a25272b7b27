// RESP as holdfast-bench writes and reads it, and a subscriber against a socket that the test
// serves by hand.
#include "bench/load/resp.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "bench/load/api_client.h"
#include "bench/load/connection.h"

namespace holdfast::bench {
namespace {

constexpr std::string_view kConfirmed = "*3\r\n$9\r\nsubscribe\r\n$5\r\nbench\r\n:1\r\n";
constexpr std::string_view kMessage = "*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$4\r\n\r\n:1\r\n";

TEST(RespClient, CommandsAreArraysOfBulkStrings) {
  EXPECT_EQ(subscribe_request("", "bench"), "*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\nbench\r\n");
  EXPECT_EQ(subscribe_request("t", "b"),
            "*2\r\n$4\r\nAUTH\r\n$1\r\nt\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nb\r\n");
}

TEST(RespClient, SubscriptionWaitsForItsLastByte) {
  for (bool with_auth : {false, true}) {
    std::string whole = (with_auth ? "+OK\r\n" : "") + std::string(kConfirmed);
    for (size_t n = 0; n < whole.size(); ++n)
      EXPECT_EQ(read_subscribed(whole.substr(0, n), with_auth).state,
                ws::HandshakeState::need_more);
    std::string followed = whole + "*3";
    ws::HandshakeAnswer answer = read_subscribed(followed, with_auth);
    EXPECT_EQ(answer.state, ws::HandshakeState::accepted);
    EXPECT_EQ(answer.head, whole);
  }
}

TEST(RespClient, SubscriptionThatFailsIsRefused) {
  for (std::string_view bytes : {"-NOAUTH Authentication required.\r\n", "+OK\r\n", ":1\r\n",
                                 "*3\r\n$9\r\nsubscribe\r\n$5\r\nbench\r\n:2\r\n",
                                 "*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n", "HTTP/1.1 400"})
    EXPECT_EQ(read_subscribed(bytes, false).state, ws::HandshakeState::refused) << bytes;
  EXPECT_EQ(read_subscribed("-ERR invalid password\r\n", true).state, ws::HandshakeState::refused);
}

TEST(RespClient, MessageWaitsForItsLastByte) {
  std::string whole(kMessage);
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(read_push(whole.substr(0, n)).state, ws::FrameState::need_more) << n;
  std::string more = whole + whole;
  ws::Frame frame = read_push(more);
  EXPECT_EQ(frame.state, ws::FrameState::whole);
  EXPECT_EQ(frame.opcode, ws::Opcode::text);
  EXPECT_EQ(frame.payload, "\r\n:1");
  EXPECT_EQ(frame.frame_bytes, whole.size());
}

TEST(RespClient, WhatNoServerMaySendIsBroken) {
  for (std::string_view bytes :
       {"*4", "*3\r\n$8", "*3\r\n$7\r\nmessagx", "*3\r\n$7\r\nmessage\r\n:1",
        "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$x\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\nbc\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$99999999999\r\n", "+PONG\r\n", "-ERR x\r\n", ">3\r\n"})
    EXPECT_EQ(read_push(bytes).state, ws::FrameState::broken) << bytes;
}

ApiAnswer judged(std::string_view bytes, bool to_one) {
  ApiAnswer answer;
  resp::ReplyReader reader;
  read_resp_answer(reader, bytes, to_one, &answer);
  return answer;
}

TEST(RespClient, PublishMayReachNobodyASendMustReachOne) {
  EXPECT_TRUE(judged(":0\r\n", false).whole);
  EXPECT_EQ(judged(":1000\r\n", false).delivered, 1000u);
  EXPECT_TRUE(judged(":1\r\n", true).whole);
  EXPECT_FALSE(judged(":0\r\n", true).whole);
  EXPECT_FALSE(judged("-NOPERM\r\n", false).whole);
  EXPECT_EQ(judged("-NOPERM\r\n", false).trouble, "NOPERM");
  EXPECT_FALSE(judged("+OK\r\n", false).whole);
  for (std::string_view bytes : {"*1\r\n:1\r\n", ":x\r\n", "HTTP/1.1 400"})
    EXPECT_FALSE(judged(bytes, false).readable) << bytes;
}

TEST(RespClient, PipelinedAnswersAreTakenOneByOne) {
  std::string_view all = ":12\r\n-ERR no\r\n:3";
  resp::ReplyReader reader;
  ApiAnswer answer;
  for (size_t n = 0; n < 5; ++n)
    EXPECT_EQ(read_resp_answer(reader, all.substr(0, n), false, &answer), 0u) << n;
  EXPECT_EQ(read_resp_answer(reader, all, false, &answer), 5u);
  EXPECT_EQ(answer.delivered, 12u);
  EXPECT_EQ(read_resp_answer(reader, all.substr(5), false, &answer), 9u);
  EXPECT_EQ(answer.trouble, "ERR no");
  EXPECT_EQ(read_resp_answer(reader, all.substr(14), false, &answer), 0u);
}

class Noting final : public ConnectionSink {
 public:
  void on_open(Connection&, std::string_view) override { opened = true; }
  void on_message(Connection&, std::string_view payload) override {
    messages.emplace_back(payload);
  }
  void on_end(Connection&, End why) override { end = why; }
  bool opened = false;
  std::vector<std::string> messages;
  std::optional<End> end;
};

class RespSubscriber : public testing::Test {
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
    where_.address = &address_;
    where_.epoll = epoll_.get();
    where_.resp = true;
    ASSERT_EQ(connection_.start(where_, "bench", 0, 1), Started::under_way);
    server_ = UniqueFd(accept(listener_.get(), nullptr, nullptr));
    turn();
    ASSERT_EQ(server_reads(), subscribe_request("", "bench"));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void turn() {
    epoll_event event{};
    if (epoll_wait(epoll_.get(), &event, 1, 1000) == 1)
      connection_.on_ready(where_, event.events, scratch_, seen_);
  }
  std::string server_reads() {
    char bytes[4096];
    ssize_t got = recv(server_.get(), bytes, sizeof bytes, 0);
    return {bytes, size_t(got > 0 ? got : 0)};
  }
  void server_writes(std::string_view bytes) {
    ASSERT_EQ(write(server_.get(), bytes.data(), bytes.size()), ssize_t(bytes.size()));
    turn();
  }

  std::string folder_;
  conf::Address address_;
  UniqueFd listener_, server_, epoll_;
  Endpoint where_;
  std::vector<char> scratch_ = std::vector<char>(4096);
  Connection connection_;
  Noting seen_;
};

TEST_F(RespSubscriber, GetsMessagesBehindItsConfirmationInPiecesAndAtOnce) {
  std::string message(kMessage);
  server_writes(std::string(kConfirmed) + message + message.substr(0, 10));
  EXPECT_TRUE(seen_.opened);
  server_writes(message.substr(10) + message);
  EXPECT_EQ(seen_.messages, std::vector<std::string>(3, "\r\n:1"));
}

TEST_F(RespSubscriber, LeavesWithQuit) {
  server_writes(kConfirmed);
  connection_.goodbye(where_);
  EXPECT_EQ(server_reads(), "*1\r\n$4\r\nQUIT\r\n");
  server_writes("+OK\r\n");
  EXPECT_EQ(connection_.state(), Connection::State::leaving);
  server_.reset();
  turn();
  EXPECT_EQ(seen_.end, End::left);
}

TEST_F(RespSubscriber, UnaskedReplyEndsIt) {
  server_writes(std::string(kConfirmed) + "-ERR what\r\n");
  EXPECT_EQ(seen_.end, End::broken);
}

}  // namespace
}  // namespace holdfast::bench
