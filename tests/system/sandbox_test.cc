// What a worker is not allowed, and that nothing which it must do is missing from the list.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

// Of /proc/PID/status.
std::string status_of(pid_t pid, const std::string& field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
  return "";
}

#if defined(__SANITIZE_ADDRESS__)
constexpr const char* kFilter = "0";  // switched off there
#else
constexpr const char* kFilter = "2";
#endif

TEST(Sandbox, WorkersHaveAFilterAndGetNoNewRights) {
  Gateway gw({.workers = 2, .tables = echo_ws()});
  for (uint16_t slot : {uint16_t(0), uint16_t(1)}) {
    EXPECT_EQ(status_of(gw.worker(slot), "Seccomp"), kFilter);
    EXPECT_EQ(status_of(gw.worker(slot), "NoNewPrivs"), "1");
  }
  // The master starts workers, and executes the next binary.
  EXPECT_EQ(status_of(gw.master(), "NoNewPrivs"), "0");
  gw.write_config({.workers = 2, .server = "seccomp = \"off\"", .tables = echo_ws()});
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_EQ(status_of(gw.worker(0), "Seccomp"), "0");
  EXPECT_EQ(status_of(gw.worker(0), "NoNewPrivs"), "1");
}

TEST(Sandbox, ApplicationReloadUpgradeAndCrashGoOnAsEver) {
  Fpm fpm(
      "if ($_SERVER['HOLDFAST_EVENT'] === 'message') echo 'answer: ' . "
      "file_get_contents('php://input');");
  Gateway gw({.workers = 2, .tables = app_ws() + fpm.backend()});
  WsClient client(gw.listener(), "/ws");
  auto works = [&] {
    client.send_text("x");
    return client.next_text() == "answer: x";
  };
  EXPECT_TRUE(works());
  gw.signal(SIGUSR1);
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_TRUE(works());
  EXPECT_EQ(gw.ctl({"upgrade"}).status, 0);
  gw.attach();
  EXPECT_TRUE(works());
  uint16_t other = gw.slot_of(client.session()) == 0 ? 1 : 0;
  pid_t victim = gw.worker(other);
  kill(victim, SIGABRT);
  ASSERT_TRUE(eventually([&] { return gw.log().find("signal=6 (Aborted)") != std::string::npos; }))
      << gw.log();
  EXPECT_EQ(gw.log().find("signal=31"), std::string::npos) << gw.log();
  EXPECT_TRUE(works());
}

TEST(Sandbox, NobodyElseReadsTheSegmentOrCommandsTheMaster) {
  Gateway gw({.tables = echo_ws()});
  for (const std::string& path :
       {"/dev/shm/holdfast." + gw.instance(), gw.dir() + "/run/control.sock"}) {
    struct stat found {};
    ASSERT_EQ(stat(path.c_str(), &found), 0) << path;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << path;
  }
}

}  // namespace
}  // namespace holdfast::test
