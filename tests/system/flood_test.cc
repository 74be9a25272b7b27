// Clients that send as much work as a read can hold: others are answered in between, nothing is lost, and nobody is aborted.
#include <gtest/gtest.h>

#include <deque>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

// 64 KiB of masked frames with one byte each.
std::string tiny_messages(size_t n) {
  std::string all;
  for (size_t i = 0; i < n; ++i) all += std::string("\x82\x81\0\0\0\0x", 7);
  return all;
}

TEST(Flood, OfTinyMessagesToManyChannelsLeavesOthersTheirTurn) {
  constexpr size_t kFloods = 6, kMessages = 9'000;
  Gateway gw(
      {.workers = 1,
       .server = "hang_timeout = \"5s\"",
       .tables = relay_ws("slow_consumer = \"drop-newest\"\nsend_queue = \"64 KiB\"") + echo_ws()});
  std::string target = "/ws?channel=c0";
  for (int i = 1; i < 8; ++i) target += "&channel=c" + std::to_string(i);
  std::deque<WsClient> floods;
  for (size_t i = 0; i < kFloods; ++i) floods.emplace_back(gw.listener(0), target);
  WsClient bystander(gw.listener(1), "/ws");
  for (WsClient& flood : floods) flood.send_raw(tiny_messages(kMessages));
  ASSERT_TRUE(eventually([&] { return gw.counter("loop.cut_short") > 0; }));
  bystander.send_text("hello");
  EXPECT_EQ(bystander.next_text(), "hello");
  EXPECT_LT(gw.counter("messages.in"), kFloods * kMessages) << "before it was through";
  EXPECT_GT(gw.counter("bytes.undecoded"), 0u);
  EXPECT_EQ(gw.counter_becomes("messages.in", kFloods * kMessages + 1), kFloods * kMessages + 1);
  EXPECT_EQ(gw.counter_becomes("bytes.undecoded", 0), 0u);
  EXPECT_EQ(gw.log().find("hangs"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::test
