// Pushes to more than a worker hands out in one turn: everybody gets each of them once and in order, also through a reload and
// where the server is told to stop while they are under way.

#include <gtest/gtest.h>
#include <signal.h>

#include <deque>
#include <string>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"

namespace holdfast::test {
namespace {

constexpr unsigned kCrowd = 4'500;
constexpr unsigned kPushes = 12;

class FanOut : public testing::Test {
 protected:
  FanOut() {
    for (unsigned i = 0; i < kCrowd; ++i) crowd_.emplace_back(gw_.listener());
    EXPECT_EQ(gw_.counter_becomes("channels.memberships", kCrowd), kCrowd);
  }
  // To a channel and to all, all of them in one piece.
  void push() {
    std::string requests;
    for (unsigned i = 0; i < kPushes; ++i) {
      std::string text = "push" + std::to_string(i) + "\n";
      expected_ += text;
      std::string words =
          i % 2 == 0 ? "*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n" : "*2\r\n$10\r\nHF.SENDALL\r\n";
      text.pop_back();
      requests += words + "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    }
    pusher_.write(requests);
  }
  void expect_all_got_all() {
    for (Stream& client : crowd_) ASSERT_EQ(client.read_exactly(expected_.size()), expected_);
  }
  void expect_answers() {
    for (unsigned i = 0; i < kPushes; ++i)
      ASSERT_EQ(pusher_.read_until("\r\n"), ":" + std::to_string(kCrowd) + "\r\n");
  }

  Gateway gw_{{.workers = 1,
               .tables =
                   "[[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nbackend = \"echo\"\n"
                   "channels = [\"room\"]\nframing = { kind = \"delimiter\", bytes = \"\\n\" }\n"
                   "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n"}};
  std::deque<Stream> crowd_;
  Stream pusher_{gw_.api(1)};
  std::string expected_;
};

TEST_F(FanOut, ReachesEverybodyOnceAndInOrder) {
  push();
  expect_answers();
  expect_all_got_all();
  EXPECT_GE(gw_.counter("push.slices"), 2 * kPushes);
  EXPECT_EQ(gw_.counter("push.under_way"), 0u);
  EXPECT_EQ(gw_.counter("push.refused_busy"), 0u);
}

TEST_F(FanOut, AlsoThroughAReload) {
  push();
  ASSERT_EQ(gw_.ctl({"reload"}).status, 0) << gw_.log();
  expect_answers();
  expect_all_got_all();
  EXPECT_EQ(gw_.counter("push.under_way"), 0u);
  EXPECT_EQ(gw_.counter("sessions.closed"), 0u);
}

// What has been accepted goes out before the clients are told to go.
TEST_F(FanOut, AStopLetsItFinish) {
  push();
  Stream& first = crowd_.front();
  ASSERT_EQ(first.read_until("push0\n"), "push0\n");
  kill(gw_.master(), SIGTERM);
  for (Stream& client : crowd_) {
    while (client.read_more()) {
    }
    std::string got = &client == &first ? "push0\n" + client.buffer() : client.buffer();
    ASSERT_GE(got.size(), 6u);
    ASSERT_EQ(got, expected_.substr(0, got.size()));
    ASSERT_EQ(got.back(), '\n');
  }
}

}  // namespace
}  // namespace holdfast::test
