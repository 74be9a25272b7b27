// Many clients that never read beside as many that do, in the same channels.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr size_t kEach = 5'000;
constexpr size_t kMessageBytes = 8'000;
constexpr size_t kFrameBytes = kMessageBytes + 4;
constexpr size_t kSendQueue = 64 * 1024;

// Resident memory of one process that is no file's, in bytes.
size_t memory_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (word == "RssAnon:") {
      size_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  return 0;
}

std::string message(const std::string& channel, int number) {
  std::string text = channel + " " + std::to_string(number) + " ";
  return text + std::string(kMessageBytes - text.size(), 'x');
}

// Reads them all until each has got `text` next. How many have not.
size_t all_hear(std::vector<WsClient>& clients, const std::string& text) {
  size_t missing = 0;
  for (WsClient& client : clients) missing += client.next_text() != text;
  return missing;
}

TEST(SlowReaders, CostABoundedMemoryAndOthersNothing) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_max, 2 * kEach + 500) << "this test needs descriptors";
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Gateway gw({.tables = relay_ws("send_queue = \"64 KiB\"\nslow_consumer = \"drop-oldest\"") +
                        "[[channel]]\npattern = \"ticker.*\"\nslow_consumer = \"keep-latest\"\n"
                        "[[channel]]\npattern = \"log\"\nslow_consumer = \"drop-newest\"\n"});
  const std::string target = "/ws?channel=news&channel=ticker.a&channel=log";
  std::vector<WsClient> readers, stalled;
  readers.reserve(kEach);
  stalled.reserve(kEach);
  int small = 4096;
  for (size_t i = 0; i < kEach; ++i) {
    readers.emplace_back(gw.listener(), target);
    stalled.emplace_back(gw.listener(), target);
    // What the kernel takes for one that does not read is not the server's. (The first will read after all: the kernel
    // throws away what does not fit into less, and sends that again after longer and longer times.)
    if (i > 0)
      setsockopt(stalled.back().stream().fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2 * kEach), 2 * kEach);
  const std::vector<pid_t> workers{gw.worker(0), gw.worker(1)};
  size_t before = 0, most = 0;
  for (pid_t worker : workers) before += memory_of(worker);

  HttpClient api(gw.api());
  const std::string channels[] = {"news", "ticker.a", "log"};
  for (int round = 0; round < 150; ++round) {
    const std::string& channel = channels[round % 3];
    const std::string text = message(channel, round);
    ASSERT_EQ(api.post("/v1/publish", publish_body({channel}, text)).status, 200);
    ASSERT_EQ(all_hear(readers, text), 0u) << "round " << round;
    ASSERT_LE(gw.counter("bytes.unsent"), kEach * (kSendQueue + kFrameBytes));
    size_t now = 0;
    for (pid_t worker : workers) now += memory_of(worker);
    most = std::max(most, now);
  }
  EXPECT_GT(gw.counter("messages.dropped_slow"), kEach) << "they did read";
  // Messages are shared by all that wait for them: what grows is a list for each, not 64 KiB.
  RecordProperty("bytes_for_each_stalled", int((most - before) / kEach));
  EXPECT_LE(most - before, kEach * kSendQueue / 4);
  EXPECT_EQ(gw.counter("sessions.online"), 2 * kEach) << "nobody is closed";

  // Who reads again finds whole messages, those of a channel in order, and the answer to its ping behind them.
  WsClient& late = stalled.front();
  late.send_frame(9, "beat");
  int last[3] = {-1, -1, -1}, heard = 0;
  for (;;) {
    std::optional<WsFrame> frame = late.next_frame();
    ASSERT_TRUE(frame);
    if (frame->opcode == 10) break;
    size_t blank = frame->payload.find(' ');
    int number = std::stoi(frame->payload.substr(blank));
    std::string channel = frame->payload.substr(0, blank);
    ASSERT_EQ(frame->payload, message(channel, number));
    size_t which = size_t(std::find(std::begin(channels), std::end(channels), channel) - channels);
    ASSERT_LT(which, 3u);
    ASSERT_LT(last[which], number);
    last[which] = number;
    ++heard;
  }
  EXPECT_LT(heard, 150);
  EXPECT_EQ(last[0], 147) << "drop-oldest keeps what came last";
  EXPECT_LT(last[2], 149) << "drop-newest keeps what came first";
  stalled.clear();
  EXPECT_EQ(gw.counter_becomes("sessions.online", kEach), kEach);
  EXPECT_EQ(gw.counter_becomes("bytes.unsent", 0), 0u);
}

}  // namespace
}  // namespace holdfast::test
