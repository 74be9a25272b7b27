// worker_main() in a process of its own; the test plays the master and the clients.

#include <gtest/gtest.h>
#include <sys/un.h>

#include "tests/unit/backends/fcgi/fake_server.h"
#include "tests/unit/master/forked.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/worker.h"

namespace holdfast {
namespace {

using test::behind_101;
using test::eventually;
using test::Peer;

std::string close_frame(std::string_view code_and_reason) {
  return test::frame(8, code_and_reason, {.masked = false});
}
const std::string kStopping = close_frame("\x03\xe9server stopping");
const std::string kRestart = close_frame("\x03\xf4service restart");

class WorkerMainTest : public ::testing::Test {
 protected:
  WorkerMainTest() {
    conf::Listen& listen = config_.listens.emplace_back();
    listen.path = "/ws";
    listen.backend = "echo";
    listen.channels = {"everybody"};
    listen.close_timeout_ms = 200;  // what clients that do not answer a close frame cost here
    config_.server.stop_timeout_ms = 20'000;
    config_.server.drain_timeout_ms = 20'000;
  }
  void start() {
    address_.sun_family = AF_UNIX;
    std::string path = dir_.path() + "/ws.sock";
    path.copy(address_.sun_path, sizeof address_.sun_path - 1);
    listening_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    ASSERT_EQ(listen(listening_.get(), 128), 0);
    auto [ours, theirs] = test::socket_pair();
    control_ = std::move(ours);
    instance_.set_state(0, shm::SlotState::starting);
    worker_.emplace([&, control = theirs.get()] {
      control_.reset();
      return worker_main(heritage(control));
    });
    char word = 0;
    ASSERT_TRUE(eventually([&] { return recv(control_.get(), &word, 1, MSG_DONTWAIT) == 1; }));
    ASSERT_EQ(word, control_word::kReady);
  }
  void tell(char word) { ASSERT_EQ(send(control_.get(), &word, 1, MSG_NOSIGNAL), 1); }
  Peer connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    Peer peer(std::move(fd), nullptr);
    test::shake_hands(peer);
    return peer;
  }
  static bool is_in(Peer& peer) {
    return eventually([&] { return behind_101(peer).empty(); });
  }
  std::vector<Peer> open(size_t n) {
    std::vector<Peer> peers;
    for (size_t i = 0; i < n; ++i) {
      peers.push_back(connect());
      EXPECT_TRUE(is_in(peers.back())) << peers.back().received();
    }
    return peers;
  }
  // What a master relies on when it does not sweep after a clean exit.
  void expect_clean_end() {
    EXPECT_EQ(worker_->exit_status(), 0);
    EXPECT_FALSE(instance_.segment.filter().maybe_member(0, "everybody"));
    EXPECT_EQ(instance_.segment.stats(0).sessions_online.get(), 0u);
    EXPECT_EQ(instance_.segment.stats(0).bytes_unsent.get(), 0u);
    for (uint32_t i = 0; i < 64; ++i) EXPECT_FALSE(instance_.segment.directory().view(i)) << i;
  }

  conf::Config config_;
  test::Instance instance_;
  UniqueFd control_;
  std::optional<test::Forked> worker_;

 private:
  Heritage heritage(int control) {
    Heritage heritage{};
    heritage.config = &config_;
    heritage.segment = &instance_.segment;
    heritage.worker_count = 1;
    heritage.generation = 1;
    heritage.listeners = {{listening_.get(), 0, false}};
    heritage.doorbell_read = instance_.read_ends[0].get();
    for (const UniqueFd& end : instance_.write_ends) heritage.doorbell_write.push_back(end.get());
    heritage.control = control;
    return heritage;
  }

  fcgi::TempDir dir_;
  sockaddr_un address_{};
  UniqueFd listening_;
};

TEST_F(WorkerMainTest, TermTellsEverybodyAndLeavesNothingBehind) {
  start();
  std::vector<Peer> peers = open(10);
  tell(control_word::kTerm);
  for (Peer& peer : peers)
    EXPECT_TRUE(eventually([&] { return behind_101(peer) == kStopping; })) << peer.received();
  expect_clean_end();
}

TEST_F(WorkerMainTest, QuitClosesSessionsBitByBit) {
  start();
  std::vector<Peer> peers = open(60);
  tell(control_word::kQuit);
  ASSERT_TRUE(eventually([&] { return behind_101(peers[0]) == kStopping; }));
  Peer& last = peers.back();
  last.send(test::frame(1, "still served"));
  EXPECT_TRUE(eventually([&] { return behind_101(last) == "\x81\x0cstill served"; }));
  tell(control_word::kTerm);
  EXPECT_TRUE(eventually([&] { return behind_101(last).ends_with(kStopping); }));
  expect_clean_end();
}

TEST_F(WorkerMainTest, StopStaysAStopWhenTheMasterDies) {
  config_.server.stop_timeout_ms = 1'000;
  start();
  std::vector<Peer> peers = open(10);
  tell(control_word::kQuit);
  control_.reset();
  for (Peer& peer : peers)
    EXPECT_TRUE(eventually([&] { return behind_101(peer) == kStopping; })) << peer.received();
  expect_clean_end();
}

TEST_F(WorkerMainTest, MastersDeathIsADrain) {
  config_.server.drain_timeout_ms = 1'000;
  start();
  std::vector<Peer> peers = open(10);
  control_.reset();
  for (Peer& peer : peers)
    EXPECT_TRUE(eventually([&] { return behind_101(peer) == kRestart; })) << peer.received();
  expect_clean_end();
}

// A reload refuses nobody: who is in its hand-shake is let in, and asked to come back like all.
TEST_F(WorkerMainTest, DrainLetsInWhoIsConnecting) {
  Loop loop;
  fcgi::FakeServer application(loop, fcgi::FakeServer::Kind::unix);
  conf::Backend& app = config_.backends["app"];
  app.name = "app";
  app.script_filename = "/srv/app.php";
  app.servers = {{.address = application.address()}};
  app.event_close = false;
  config_.listens[0].backend = "app";
  start();
  Peer connecting = connect();
  fcgi::FakeConnection held = application.accept();
  held.read_request();
  std::vector<Peer> others;
  for (int i = 0; i < 30; ++i) {
    others.push_back(connect());
    fcgi::FakeConnection served = application.accept();
    served.read_request();
    served.write(fcgi::answer(""));
    ASSERT_TRUE(is_in(others.back()));
  }
  tell(control_word::kDrain);
  EXPECT_TRUE(eventually([&] { return behind_101(others[0]) == kRestart; }));
  EXPECT_EQ(connecting.received(), "");
  held.write(fcgi::answer(""));
  EXPECT_TRUE(is_in(connecting) || behind_101(connecting) == kRestart) << connecting.received();
  tell(control_word::kTerm);
  expect_clean_end();
}

}  // namespace
}  // namespace holdfast
