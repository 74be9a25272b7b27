// Runtime directory, descriptor arithmetic, doorbells, exit texts, and the note to the service
// manager.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fstream>

#include "conf/load.h"
#include "master/descriptor_limit.h"
#include "master/doorbells.h"
#include "master/instance.h"
#include "master/notify.h"
#include "master/reap.h"
#include "master/runtime_dir.h"
#include "shm/mailbox.h"
#include "tests/unit/conf/temp_dir.h"

namespace holdfast::master {
namespace {

TEST(RuntimeDir, IsMadeWithItsParents) {
  conf::TempDir dir;
  std::string path = dir / "a/b/run";
  ASSERT_TRUE(prepare_runtime_dir(path));
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_TRUE(prepare_runtime_dir(path));  // a second start finds it
}

TEST(RuntimeDir, IsRefusedWhereEverybodyMayWriteOrItIsNone) {
  conf::TempDir dir;
  ASSERT_EQ(mkdir((dir / "open").c_str(), 0700), 0);
  ASSERT_EQ(chmod((dir / "open").c_str(), 0777), 0);
  EXPECT_FALSE(prepare_runtime_dir(dir / "open"));
  dir.write("file", "");
  EXPECT_FALSE(prepare_runtime_dir(dir / "file"));
  ASSERT_EQ(mkdir((dir / "real").c_str(), 0700), 0);
  std::filesystem::create_symlink(dir / "real", dir / "link");
  EXPECT_FALSE(prepare_runtime_dir(dir / "link"));
}

TEST(DescriptorLimit, LeavesRoomForWhatIsNoSession) {
  conf::Config config;
  config.server.workers = 2;
  config.server.max_workers = 4;
  uint64_t reserve = reserved_descriptors(config);
  EXPECT_GT(reserve, 4u);
  EXPECT_EQ(sessions_held(config, reserve), 0u);
  EXPECT_EQ(sessions_held(config, 0), 0u);
  EXPECT_EQ(sessions_held(config, reserve + 100), 200u);
}

TEST(DescriptorLimit, CountsEachWorkersShareOfBackendConnections) {
  conf::Config config;
  config.server.workers = 4;
  uint64_t before = reserved_descriptors(config);
  config.backends["app"].max_connections = 64;
  EXPECT_GE(reserved_descriptors(config), before + 16);
}

TEST(Doorbells, LeaveAWorkerOnlyItsOwnReadEnd) {
  auto doorbells = Doorbells::make(3);
  ASSERT_TRUE(doorbells);
  int other = doorbells->read_end(0);
  doorbells->close_others(1);
  EXPECT_EQ(fcntl(other, F_GETFD), -1);
  ASSERT_EQ(doorbells->write_ends().size(), 3u);
  ASSERT_EQ(write(doorbells->write_ends()[1], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(doorbells->read_end(1), &byte, 1), 1);
  EXPECT_EQ(read(doorbells->read_end(1), &byte, 1), -1);  // non-blocking
}

TEST(Capacities, LetTheLargestMessageThroughAMailbox) {
  for (const char* largest : {"1 B", "64 KiB", "5 MiB"}) {
    std::string listen = "[[listen]]\naddress = \"127.0.0.1:0\"\nbackend = \"echo\"\n";
    auto loaded = conf::load_text(
        fmt::format("[server]\nmax_workers = 8\n[limits]\nmax_message_size = \"{}\"\n{}", largest,
                    listen),
        "t.toml");
    ASSERT_TRUE(loaded) << loaded.problems[0].text();
    auto ring = capacities_of(loaded.config).mailbox_bytes;
    EXPECT_GT(shm::MailboxRing::max_body(ring), loaded.config.limits.max_message_size);
    EXPECT_EQ(ring & (ring - 1), 0u);
  }
}

TEST(Exit, SaysHowAProcessEnded) {
  EXPECT_EQ((Exit{1, W_EXITCODE(3, 0)}.text()), "status=3");
  EXPECT_EQ((Exit{1, W_EXITCODE(0, SIGKILL)}.text()), "signal=9 (Killed) core=no");
  EXPECT_TRUE((Exit{1, W_EXITCODE(0, 0)}.clean()));
  EXPECT_FALSE((Exit{1, W_EXITCODE(1, 0)}.clean()));
  EXPECT_FALSE((Exit{1, W_EXITCODE(0, SIGTERM)}.clean()));
}

TEST(Notify, SendsADatagramWhereNotifySocketSays) {
  conf::TempDir dir;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  (dir / "n").copy(name.sun_path, sizeof name.sun_path - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  setenv("NOTIFY_SOCKET", (dir / "n").c_str(), 1);
  notify("READY=1");
  unsetenv("NOTIFY_SOCKET");
  notify("STOPPING=1");  // nobody asked any more
  char text[64];
  ASSERT_EQ(recv(fd.get(), text, sizeof text, 0), 7);
  EXPECT_EQ(std::string(text, 7), "READY=1");
  EXPECT_EQ(recv(fd.get(), text, sizeof text, 0), -1);
}

}  // namespace
}  // namespace holdfast::master
