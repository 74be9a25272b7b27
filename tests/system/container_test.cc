// What a container gives a server less of: a small /dev/shm, and a stderr that nobody reads.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "tests/harness/faults.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

// A /dev/shm of so many MiB, for this process and its children, as long as the object lives.
class SmallShm {
 public:
  explicit SmallShm(unsigned mib) {
    // Once for the process; nobody outside sees what is mounted from then on.
    static const bool apart =
        unshare(CLONE_NEWNS) == 0 && mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    std::string size = "size=" + std::to_string(mib) + "m";
    mounted_ = apart && mount("tmpfs", "/dev/shm", "tmpfs", 0, size.c_str()) == 0;
    if (!mounted_) why_ = std::strerror(errno);
  }
  SmallShm(const SmallShm&) = delete;
  SmallShm& operator=(const SmallShm&) = delete;
  ~SmallShm() {
    if (mounted_) umount2("/dev/shm", MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string why() const {
    return "NOT TESTED: no small /dev/shm can be mounted here (as root, with CAP_SYS_ADMIN, it "
           "can): " +
           why_;
  }

 private:
  bool mounted_ = false;
  std::string why_;
};

// Takes all that is left of it.
class Ballast {
 public:
  Ballast() : fd_(open(kPath, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    for (off_t piece = 1 << 20, at = 0; piece >= 4096;) {
      if (fallocate(fd_.get(), 0, at, piece) == 0)
        at += piece;
      else
        piece /= 2;
    }
  }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;
  ~Ballast() { unlink(kPath); }

 private:
  static constexpr const char* kPath = "/dev/shm/ballast";
  UniqueFd fd_;
};

std::vector<pid_t> workers_of(const Gateway& gw) {
  std::vector<pid_t> pids;
  for (uint16_t slot : gw.serving_slots()) pids.push_back(gw.worker(slot));
  return pids;
}

GatewayOptions three_workers() {
  return {.workers = 3, .limits = "max_sessions = 4000", .tables = relay_ws()};
}

// What a real full file system still gives: the pages that are there already.
void expect_old_pages_go_on(HttpClient& api, std::vector<WsClient>& clients) {
  std::string sent = send_body({clients.back().session()}, "in the full");
  EXPECT_NE(api.post("/v1/send", sent).body.find("\"delivered\":1"), std::string::npos);
  EXPECT_EQ(clients.back().next_text(), "in the full");
  HttpAnswer answer = api.post("/v1/publish", publish_body({"full7"}, "hears all"));
  EXPECT_NE(answer.body.find("\"delivered\":1"), std::string::npos) << answer.body;
  EXPECT_EQ(clients[7].next_text(), "hears all");
}

// Between `no_memory` and `memory_again` what is new is refused; nobody dies, and afterwards all is as before.
void expect_refusals_and_no_deaths(Gateway& gw, bool full, const std::function<void()>& no_memory,
                                   const std::function<void()>& memory_again) {
  auto clients = gw.one_on_each("/ws?channel=a", {0, 1, 2});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 3), 3u);
  std::vector<pid_t> before = workers_of(gw);
  HttpClient api = gw.api_on(0);
  no_memory();
  HttpAnswer answer = api.post("/v1/publish", publish_body({"a"}, std::string(30'000, 'x')));
  EXPECT_EQ(answer.body.find("\"delivered\":3"), std::string::npos) << answer.body;
  EXPECT_EQ(gw.counter("memory.refused"), 2u) << "the two other workers' mailboxes have no page";
  EXPECT_EQ(clients[0].next_text().size(), 30'000u);
  EXPECT_EQ(gw.ctl({"stats"}).status, 0) << "readers do not die either";
  // Rows of the filter and entries of slabs: each channel and session wants pages.
  std::vector<WsClient> more;
  for (int i = 0; i < 200; ++i)
    more.emplace_back(gw.listener(), "/ws?channel=full" + std::to_string(i));
  if (full) expect_old_pages_go_on(api, more);
  memory_again();
  EXPECT_EQ(workers_of(gw), before) << gw.log();
  EXPECT_TRUE(gw.process().running());
  EXPECT_NE(gw.log().find("shared memory is full"), std::string::npos);
  answer = api.post("/v1/publish", publish_body({"a"}, std::string(30'000, 'y')));
  EXPECT_NE(answer.body.find("\"delivered\":3"), std::string::npos) << answer.body;
  for (WsClient& client : clients) EXPECT_EQ(client.next_text(), std::string(30'000, 'y'));
  EXPECT_EQ(gw.stop(), 0);
}

TEST(Container, AFullSharedMemoryRefusesWhatIsNewAndNobodyDies) {
  SmallShm shm(16);
  if (!shm.mounted()) GTEST_SKIP() << shm.why();
  Gateway gw(three_workers());
  EXPECT_NE(gw.log().find("shared memory may need"), std::string::npos) << gw.log();
  std::optional<Ballast> ballast;
  expect_refusals_and_no_deaths(
      gw, true, [&] { ballast.emplace(); }, [&] { ballast.reset(); });
}

// The same wherever no file system can be mounted: the kernel says no, though it has memory.
TEST(Container, MemoryThatTheKernelRefusesIsRefusedToWhoAsks) {
  TempDir dir;
  std::string file = dir / "faults";
  write_file(file, std::string(sizeof(FaultTable), '\0'));
  UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  void* map = mmap(nullptr, sizeof(FaultTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  auto* table = static_cast<FaultTable*>(map);
  GatewayOptions options = three_workers();
  options.environment = {{"LD_PRELOAD", binary("HF_FAULT_SHIM")},
                         {kFaultsVariable, file},
                         {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
  Gateway gw(options);
  auto& refused = table->one_in[size_t(Fault::no_space)];
  expect_refusals_and_no_deaths(
      gw, false, [&] { refused = 1; }, [&] { refused = 0; });
  EXPECT_GT(table->come[size_t(Fault::no_space)].load(), 0u);
  munmap(map, sizeof(FaultTable));
}

// More than /dev/shm could hold of four workers' whole mailboxes.
TEST(Container, LargePushesInASmallSharedMemoryKillNobody) {
  SmallShm shm(8);
  if (!shm.mounted()) GTEST_SKIP() << shm.why();
  Gateway gw({.workers = 4,
              .limits = "max_sessions = 1000\nmax_message_size = \"256 KiB\"",
              .tables = relay_ws("send_queue = \"4 MiB\"")});
  auto clients = gw.one_on_each("/ws?channel=a", {0, 1, 2, 3});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 4), 4u);
  std::vector<pid_t> before = workers_of(gw);
  std::string data(200'000, 'x');
  for (int i = 0; i < 120; ++i) {
    HttpClient api = gw.api_on(uint16_t(i % 4));
    api.post("/v1/send-all", "{\"data\":\"" + std::to_string(i) + data + "\"}");
    // Whom it did not reach had no room in its mailbox; the marker goes to each by itself.
    for (WsClient& client : clients) {
      api.post("/v1/send", send_body({client.session()}, "marker"));
      while (client.next_text() != "marker") {
      }
    }
  }
  EXPECT_EQ(workers_of(gw), before) << gw.log();
  EXPECT_EQ(gw.stop(), 0);
}

TEST(Container, WhatCannotHoldTheLeastIsSaidInNumbers) {
  SmallShm shm(1);
  if (!shm.mounted()) GTEST_SKIP() << shm.why();
  try {
    Gateway gw({.workers = 16, .tables = relay_ws()});
    FAIL() << "it started";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("shared memory needs at least"), std::string::npos)
        << error.what();
  }
}

// A pipe that is full before the first line comes.
class DeafStderr {
 public:
  DeafStderr() {
    mkfifo(path().c_str(), 0600);
    reader_.reset(open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    write_file(dir_ / "holdfastd",
               "#!/bin/sh\nexec " + binary("HF_HOLDFASTD") + " \"$@\" 2>" + path() + "\n");
    chmod((dir_ / "holdfastd").c_str(), 0700);
  }
  std::string program() const { return dir_ / "holdfastd"; }
  void fill() {
    UniqueFd writer(open(path().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    std::string block(4096, '.');
    for (size_t bytes : {block.size(), size_t{1}})
      while (write(writer.get(), block.data(), bytes) > 0) {
      }
  }
  // Reads until `part` has come.
  bool says(const std::string& part) {
    return eventually([&] {
      char bytes[4096];
      for (ssize_t got; (got = read(reader_.get(), bytes, sizeof bytes)) > 0;)
        heard_.append(bytes, size_t(got));
      return heard_.find(part) != std::string::npos;
    });
  }

 private:
  std::string path() const { return dir_ / "fifo"; }
  TempDir dir_;
  UniqueFd reader_;
  std::string heard_;
};

TEST(Container, AStderrThatNobodyReadsStopsNobody) {
  DeafStderr log;
  Gateway gw({.server = "hang_timeout = \"5s\"",
              .tables = relay_ws(),
              .log_level = "debug",
              .environment = {},
              .holdfastd = log.program()});
  log.fill();
  std::vector<pid_t> before = workers_of(gw);
  // Lines of the workers, then of the master: both find nobody who reads.
  for (int i = 0; i < 50; ++i) EXPECT_THROW(WsClient(gw.listener(), "/elsewhere"), Refused);
  EXPECT_TRUE(eventually([&] { return gw.counter("log.dropped") > 0; }));
  EXPECT_EQ(workers_of(gw), before);
  kill(before[0], SIGKILL);
  EXPECT_TRUE(eventually([&] {
    auto now = workers_of(gw);
    return now.size() == 2 && now != before;
  })) << "the master goes on";
  WsClient client(gw.listener(), "/ws?channel=a");
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_TRUE(log.says("log lines were dropped"));
  EXPECT_EQ(gw.stop(), 0);
}

}  // namespace
}  // namespace holdfast::test
