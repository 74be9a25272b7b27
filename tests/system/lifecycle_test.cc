// Start, stop, reload, crashes: what the master does, seen from outside.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/random.h"
#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

TEST(Lifecycle, TermClosesClientsWith1001AndLeavesNothingBehind) {
  Gateway gw({.tables = relay_ws() + relay_tcp()});
  WsClient web(gw.listener(0), "/ws?channel=a");
  LengthClient tcp(gw.listener(1));
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  gw.signal(SIGTERM);
  EXPECT_EQ(web.wait_close(), 1001);
  web.close(1001);
  EXPECT_TRUE(tcp.stream().at_end());
  EXPECT_EQ(gw.process().wait_for_end(15'000), 0);
  EXPECT_FALSE(shm::Segment::attach(gw.instance()));
  EXPECT_NE(access((gw.dir() + "/run/control.sock").c_str(), F_OK), 0);
}

// The segment has room for them all, and memory only for what has been used.
TEST(Lifecycle, AMillionSessionsCostNothingBeforeTheyCome) {
  Gateway gw({.limits = "max_sessions = 1000000", .tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  struct stat segment {};
  ASSERT_EQ(stat(("/dev/shm/holdfast." + gw.instance()).c_str(), &segment), 0);
  EXPECT_GT(segment.st_size, 1'000'000 * 128ll);
  EXPECT_LT(segment.st_blocks * 512ll, 4 << 20);
}

TEST(Lifecycle, StopDeliversCloseEvents) {
  Fpm fpm(
      "file_put_contents(LOGFILE, $_SERVER['HOLDFAST_EVENT'] . ' ' . ($_SERVER['HOLDFAST_REASON'] "
      "?? '') . \"\\n\", FILE_APPEND | LOCK_EX);");
  Gateway gw({.tables = app_ws() + fpm.backend()});
  std::vector<WsClient> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(gw.listener(), "/ws");
  gw.signal(SIGTERM);
  for (WsClient& client : clients) {
    EXPECT_EQ(client.wait_close(), 1001);
    client.close(1001);
  }
  EXPECT_EQ(gw.process().wait_for_end(15'000), 0);
  std::string log = fpm.app_log();
  size_t closes = 0;
  for (size_t at = 0; (at = log.find("close server stopping", at)) != std::string::npos; ++at)
    ++closes;
  EXPECT_EQ(closes, 10u);
}

// While the workers finish, nobody waits for an accept that will not come.
TEST(Lifecycle, NewcomersAreRefusedWhileAGracefulStopFinishes) {
  Gateway gw({.server = "stop_timeout = \"60s\"", .tables = relay_ws()});
  WsClient old(gw.listener(), "/ws?channel=a");
  std::string web = gw.listener(), api = gw.api();
  gw.signal(SIGQUIT);
  auto refused = [](const std::string& address) {
    try {
      Stream stream(address);
      return false;
    } catch (const Timeout&) {
      throw;
    } catch (const std::exception&) {
      return true;
    }
  };
  EXPECT_TRUE(eventually([&] { return refused(web) && refused(api); }));
  old.send_text("still served");
  EXPECT_EQ(old.next_text(), "still served");
  gw.signal(SIGTERM);
  EXPECT_EQ(old.wait_close(), 1001);
  old.close(1001);
  EXPECT_EQ(gw.process().wait_for_end(15'000), 0);
}

// Who is in a queue when the stop begins is told, and not reset.
TEST(Lifecycle, QueuedNewcomersAreAnsweredWhenAStopBegins) {
  Gateway gw({.workers = 1, .tables = echo_ws()});
  pid_t worker = gw.worker(0);
  ASSERT_EQ(kill(worker, SIGSTOP), 0);
  std::vector<HttpClient> queued;
  for (int i = 0; i < 20; ++i) {
    queued.emplace_back(gw.listener());
    queued.back().send_raw("GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  gw.signal(SIGQUIT);
  // The master has closed its sockets when it says so.
  EXPECT_TRUE(
      eventually([&] { return gw.log().find("stopping gracefully") != std::string::npos; }));
  ASSERT_EQ(kill(worker, SIGCONT), 0);
  for (HttpClient& client : queued) {
    int status = client.read_answer().status;
    EXPECT_TRUE(status == 404 || status == 503) << status;
  }
  EXPECT_EQ(gw.process().wait_for_end(15'000), 0);
}

// Else log lines would go into whatever file got the number: the pid file, the segment.
TEST(Lifecycle, ClosedStandardDescriptorsAreNotTakenByOtherFiles) {
  TempDir dir;
  std::string instance = "closed" + std::to_string(getpid());
  write_file(dir / "c.toml", "[server]\ninstance = \"" + instance + "\"\nruntime_dir = \"" +
                                 (dir / "run") + "\"\nworkers = 1\n[limits]\nmax_sessions = 100\n" +
                                 relay_ws());
  Process server(
      {"sh", "-c", "exec \"$0\" -c \"$1\" 0<&- 1>&- 2>&-", binary("HF_HOLDFASTD"), dir / "c.toml"},
      dir / "out");
  ASSERT_TRUE(eventually([&] {
    auto attached = shm::Segment::attach(instance);
    return attached && attached->slot(0).state.load() == shm::SlotState::serving;
  }));
  EXPECT_EQ(read_file(dir / "run/holdfastd.pid"), std::to_string(server.pid()) + "\n");
  for (const char* fd : {"0", "1", "2"}) {
    std::string link = "/proc/" + std::to_string(server.pid()) + "/fd/" + fd;
    EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null");
  }
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_for_end(15'000), 0);
}

TEST(Lifecycle, SecondInstanceOfTheSameNameIsRefused) {
  Gateway gw({.tables = relay_ws()});
  TempDir other;
  std::string text = read_file(gw.config_file());
  size_t at = text.find(gw.dir() + "/run");
  text.replace(at, (gw.dir() + "/run").size(), other / "run");
  write_file(other / "holdfast.toml", text);
  Finished second = run({binary("HF_HOLDFASTD"), "-c", other / "holdfast.toml"});
  EXPECT_NE(second.status, 0);
  EXPECT_NE(second.output.find(gw.instance()), std::string::npos) << second.output;
  EXPECT_NE(second.output.find(std::to_string(gw.master())), std::string::npos) << second.output;
  EXPECT_NO_THROW(WsClient(gw.listener(), "/ws?channel=a"));  // the first one did not notice
}

TEST(Lifecycle, SegmentOfAKilledMasterIsReplacedAtOnce) {
  Gateway gw({.server = "drain_timeout = \"1s\"", .tables = relay_ws()});
  WsClient before(gw.listener(), "/ws?channel=a");
  kill(gw.master(), SIGKILL);
  gw.process().wait_for_end(5'000);
  gw.start();
  WsClient after(gw.listener(), "/ws?channel=a");
  after.send_text("served again");
  EXPECT_EQ(after.next_text(), "served again");
  EXPECT_EQ(before.wait_close(), 1012);  // the orphaned worker drains
}

// Others lose nothing; the slot comes back; directory and counts are right again.
TEST(Crash, KilledWorkerCostsOnlyItsOwnSessions) {
  Gateway gw({.tables = relay_ws()});
  std::vector<WsClient> clients;
  for (int i = 0; i < 60; ++i) clients.emplace_back(gw.listener(), "/ws?channel=a");
  std::vector<size_t> on_one, on_zero;
  for (size_t i = 0; i < clients.size(); ++i)
    (gw.slot_of(clients[i].session()) == 1 ? on_one : on_zero).push_back(i);
  ASSERT_FALSE(on_one.empty());
  ASSERT_FALSE(on_zero.empty());
  HttpClient api = gw.api_on(0);
  std::atomic<bool> stop = false;
  std::atomic<int> published = 0;
  std::thread load([&] {
    while (!stop && published < 5000) {
      api.post("/v1/publish", publish_body({"a"}, std::to_string(published)));
      ++published;
    }
  });
  ASSERT_TRUE(eventually([&] { return published > 20; }));
  pid_t victim = gw.worker(1);
  kill(victim, SIGKILL);
  EXPECT_TRUE(eventually([&] { return gw.worker(1) != victim && gw.serving_slots().size() == 2; }));
  int reached = published;
  EXPECT_TRUE(eventually([&] { return published > reached + 20; }));
  stop = true;
  load.join();
  for (size_t i : on_zero)
    for (int n = 0; n < published; ++n) ASSERT_EQ(clients[i].next_text(), std::to_string(n));
  EXPECT_EQ(gw.counter_becomes("sessions.online", on_zero.size()), on_zero.size());
  for (size_t i : on_one) EXPECT_THROW(gw.slot_of(clients[i].session()), std::runtime_error);
  for (size_t i : on_zero) EXPECT_EQ(gw.slot_of(clients[i].session()), 0);
  // And a newcomer on the reborn worker gets what the other one publishes.
  auto fresh = gw.one_on_each("/ws?channel=fresh", {0, 1});
  HttpAnswer answer = gw.api_on(0).post("/v1/publish", publish_body({"fresh"}, "again"));
  EXPECT_NE(answer.body.find("\"delivered\":2"), std::string::npos) << answer.body;
  for (WsClient& client : fresh) EXPECT_EQ(client.next_text(), "again");
}

TEST(Crash, CloseEventsOfADeadWorkerAreSentByItsSuccessor) {
  Fpm fpm(
      "file_put_contents(LOGFILE, $_SERVER['HOLDFAST_EVENT'] . ' ' . $_SERVER['SESSIONID'] . ' ' . "
      "($_SERVER['HOLDFAST_USER'] ?? '') . ' ' . ($_SERVER['HOLDFAST_REASON'] ?? '') . \"\\n\", "
      "FILE_APPEND | LOCK_EX); header('Holdfast-User: ann');");
  Gateway gw({.workers = 1, .tables = app_ws() + fpm.backend()});
  std::vector<std::string> ids;
  std::vector<WsClient> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(gw.listener(), "/ws");
    ids.push_back(clients.back().session());
  }
  kill(gw.worker(0), SIGKILL);
  EXPECT_EQ(gw.counter_becomes("events.close", 10), 10u);
  std::string log = fpm.app_log();
  for (const std::string& id : ids) {
    size_t first = log.find("close " + id + " ann worker crashed\n");
    EXPECT_NE(first, std::string::npos) << log;
    EXPECT_EQ(log.find("close " + id, first + 1), std::string::npos) << "twice";
  }
  EXPECT_EQ(gw.counter("sessions.online"), 0u);
}

TEST(Crash, HungWorkerIsReplacedAndTheToolWorksMeanwhile) {
  Gateway gw({.server = "hang_timeout = \"2s\"", .tables = relay_ws()});
  pid_t victim = gw.worker(1);
  kill(victim, SIGSTOP);
  Finished stats = gw.ctl({"stats"});
  EXPECT_EQ(stats.status, 0) << stats.output;
  EXPECT_NE(stats.output.find("sessions.online"), std::string::npos) << stats.output;
  Finished workers = gw.ctl({"workers"});
  EXPECT_EQ(workers.status, 0) << workers.output;
  EXPECT_NE(workers.output.find(std::to_string(victim)), std::string::npos) << workers.output;
  EXPECT_TRUE(
      eventually([&] { return gw.worker(1) != victim && gw.serving_slots().size() == 2; }, 20'000));
}

// A connect storm over several reloads: not one connection may be refused or reset before it is served.
TEST(Reload, NoNewConnectionIsRefusedOrReset) {
  Gateway gw({.server = "drain_timeout = \"500ms\"\nmax_workers = 16", .tables = echo_ws()});
  std::atomic<bool> stop = false;
  std::atomic<int> served = 0, failed = 0;
  std::vector<std::thread> storm;
  std::string address = gw.listener();
  for (int t = 0; t < 4; ++t)
    storm.emplace_back([&] {
      while (!stop && served < 20000) {
        try {
          WsClient client(address, "/ws");
          ++served;
        } catch (const std::exception& e) {
          ++failed;
          ADD_FAILURE() << e.what();
          return;
        }
      }
    });
  for (uint64_t generation = 2; generation <= 4; ++generation) {
    int before = served;
    ASSERT_TRUE(eventually([&] { return served > before + 50; }));
    gw.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return gw.generation() == generation; })) << gw.log();
  }
  int after = served;
  ASSERT_TRUE(eventually([&] { return served > after + 50; }));
  stop = true;
  for (std::thread& t : storm) t.join();
  EXPECT_EQ(failed, 0);
}

TEST(Reload, ChangesTakeEffectAndTheWorkerCountMayChange) {
  GatewayOptions options{.server = "drain_timeout = \"200ms\"", .tables = echo_ws()};
  Gateway gw(options);
  for (unsigned workers : {3u, 1u, 2u}) {
    options.workers = workers;
    options.limits = "max_message_size = \"" + std::to_string(workers) + " KiB\"";
    gw.write_config(options);
    uint64_t generation = gw.generation() + 1;
    gw.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] {
      return gw.generation() == generation && gw.serving_slots().size() == workers;
    })) << gw.log();
    WsClient client(gw.listener(), "/ws");
    client.send_text(std::string(workers * 1024, 'x'));
    EXPECT_EQ(client.next_text().size(), workers * 1024);
    client.send_text(std::string(workers * 1024 + 1, 'x'));
    EXPECT_EQ(client.wait_close(), 1009);
  }
}

TEST(Reload, BadConfigurationIsRefusedAndNothingChanges) {
  Gateway gw({.tables = relay_ws()});
  WsClient client(gw.listener(), "/ws?channel=a");
  std::vector<pid_t> before{gw.worker(0), gw.worker(1)};
  std::string good = read_file(gw.config_file());
  write_file(gw.config_file(), good + "\n[limits]\nnonsense = 1\n");
  Finished refused = gw.ctl({"-i", gw.instance(), "reload"});
  write_file(gw.config_file(), good + "\n[server2]\nnonsense = 1\n");
  Finished reload = run({binary("HF_HOLDFASTCTL"), "-i", gw.instance(), "reload"});
  EXPECT_EQ(reload.status, 1) << reload.output;
  EXPECT_NE(reload.output.find("server2"), std::string::npos) << reload.output;
  EXPECT_EQ(gw.generation(), 1u);
  EXPECT_EQ(std::vector<pid_t>({gw.worker(0), gw.worker(1)}), before);
  client.send_text("still here");
  EXPECT_EQ(client.next_text(), "still here");
  EXPECT_TRUE(eventually([&] { return gw.log().find("server2") != std::string::npos; }));
}

TEST(SlowConsumer, IsClosedAndMemoryStaysBounded) {
  Gateway gw({.tables = relay_ws("send_queue = \"256 KiB\"")});
  auto fast = gw.one_on_each("/ws?channel=a", {0})[0].session();
  WsClient reader(gw.listener(), "/ws?channel=a");
  WsClient slow(gw.listener(), "/ws?channel=a");
  HttpClient api(gw.api());
  std::string big(60'000, 'x');
  int published = 0;
  // The kernel's own buffers take some megabytes first.
  while (gw.counter("sessions.closed_slow") == 0 && published < 2000) {
    ASSERT_EQ(api.post("/v1/publish", publish_body({"a"}, big)).status, 200);
    ++published;
    ASSERT_EQ(reader.next_text().size(), big.size());
    EXPECT_LE(gw.counter("bytes.unsent"), 3u * 256 * 1024 + 3 * 65536);
  }
  EXPECT_EQ(gw.counter("sessions.closed_slow"), 1u);
  EXPECT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
  EXPECT_LT(published, 2000);
}

TEST(Capacity, TenThousandConnectionsGetEveryPublish) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_max, 10'500u) << "this test needs descriptors";
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Gateway gw({.tables = relay_ws()});
  std::vector<WsClient> clients;
  clients.reserve(10'000);
  for (int i = 0; i < 10'000; ++i) clients.emplace_back(gw.listener(), "/ws?channel=a");
  ASSERT_EQ(gw.counter_becomes("sessions.online", 10'000), 10'000u);
  HttpClient api(gw.api());
  for (int round = 0; round < 3; ++round) {
    HttpAnswer answer =
        api.post("/v1/publish", publish_body({"a"}, "round " + std::to_string(round)));
    EXPECT_NE(answer.body.find("\"delivered\":10000"), std::string::npos) << answer.body;
    for (WsClient& client : clients)
      ASSERT_EQ(client.next_text(), "round " + std::to_string(round));
  }
  clients.clear();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 1), 1u);  // the API's
}

TEST(Capacity, OutOfDescriptorsRefusesAndRecovers) {
  // 64 slots cost 128 doorbell descriptors, so the limit leaves room for some ten clients.
  Gateway gw({.workers = 1, .server = "max_workers = 4", .tables = echo_ws(), .environment = {}});
  rlimit few{60, 60};
  ASSERT_EQ(prlimit(gw.worker(0), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<Stream> held;
  for (int i = 0; i < 80 && gw.counter("connections.out_of_files") == 0; ++i)
    held.emplace_back(gw.listener());
  ASSERT_TRUE(eventually([&] { return gw.counter("connections.out_of_files") > 0; }));
  held.clear();
  ASSERT_TRUE(eventually([&] {
    try {
      WsClient client(gw.listener(), "/ws");
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }));
}

}  // namespace
}  // namespace holdfast::test
