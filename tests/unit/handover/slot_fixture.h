// tests/unit/handover/slot_fixture.h - a slot that passes from one worker_main() to another, each in a process of its own; the
// test plays the master and the clients.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/backends/fcgi/fake_server.h"
#include "tests/unit/master/forked.h"
#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/worker.h"

namespace holdfast {

using test::behind_101;
using test::eventually;
using test::Peer;

// One worker process and the master's end of its control channel.
struct Process {
  std::unique_ptr<test::Forked> forked;
  UniqueFd control;
  bool says(char wanted) {
    char word = 0;
    bool got = eventually([&] { return recv(control.get(), &word, 1, MSG_DONTWAIT) != -1; });
    return got && word == wanted;
  }
  void tell(char word) { ASSERT_EQ(send(control.get(), &word, 1, MSG_NOSIGNAL), 1); }
  void tell(char word, int fd) {
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {};
    iovec part{&word, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    ASSERT_EQ(sendmsg(control.get(), &message, MSG_NOSIGNAL), 1);
  }
};

class SlotHandover : public ::testing::Test {
 protected:
  SlotHandover() {
    conf::Listen& listen = config_.listens.emplace_back();
    listen.address = *conf::parse_address("unix:" + path());
    listen.path = "/ws";
    listen.backend = "echo";
    listen.channels = {"everybody"};
    listen.close_timeout_ms = 200;  // what clients that do not answer a close frame cost here
    address_.sun_family = AF_UNIX;
    path().copy(address_.sun_path, sizeof address_.sun_path - 1);
    listening_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    HF_CHECK(bind(listening_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0);
    HF_CHECK(listen_on());
    setenv("HF_FAULT_FILE", fault_file().c_str(), 1);
  }
  ~SlotHandover() override { unsetenv("HF_FAULT_FILE"); }

  Process start(bool standby, const conf::Config* config = nullptr, uint32_t generation = 1) {
    auto [ours, theirs] = test::socket_pair();
    Process process;
    process.control = std::move(ours);
    if (!standby) instance_.set_state(0, shm::SlotState::starting);
    Heritage heritage = heritage_for(theirs.get(), config != nullptr ? config : &config_);
    heritage.standby = standby;
    heritage.generation = generation;
    process.forked = std::make_unique<test::Forked>([&] {
      process.control.reset();
      return worker_main(heritage);
    });
    EXPECT_TRUE(process.says(control_word::kReady));
    return process;
  }
  // What the master does for a takeover.
  void introduce(Process& predecessor, Process& successor) {
    auto [one, other] = test::socket_pair();
    predecessor.tell(control_word::kHandOver, one.get());
    successor.tell(control_word::kTakeOver, other.get());
  }
  void order_fault(const std::string& point, const std::string& action = "kill") {
    std::ofstream(fault_file()) << point << ' ' << action << '\n';
  }
  bool fault_happened() const { return access(fault_file().c_str(), F_OK) != 0; }
  uint32_t server_pid() { return instance_.segment.slot(0).pid.load(); }

  Peer connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    Peer peer(std::move(fd), nullptr);
    test::shake_hands(peer);
    return peer;
  }
  std::vector<Peer> open(size_t n) {
    std::vector<Peer> peers;
    for (size_t i = 0; i < n; ++i) {
      peers.push_back(connect());
      EXPECT_TRUE(eventually([&] { return behind_101(peers.back()).empty(); }));
    }
    return peers;
  }
  // Every client says something, and hears exactly that beside all it has heard before.
  void expect_served(std::vector<Peer>& peers) {
    ++round_;
    for (size_t i = 0; i < peers.size(); ++i) {
      std::string text = "r" + std::to_string(round_) + "-" + std::to_string(i);
      std::string expected = behind_101(peers[i]) + char(0x81) + char(text.size()) + text;
      peers[i].send(test::frame(1, text));
      ASSERT_TRUE(eventually([&] { return behind_101(peers[i]) == expected; }))
          << "client " << i << " heard " << behind_101(peers[i]);
    }
  }
  std::string path() const { return dir_.path() + "/ws.sock"; }
  std::string fault_file() const { return dir_.path() + "/fault"; }

  conf::Config config_;
  test::Instance instance_;

 private:
  bool listen_on() { return ::listen(listening_.get(), 128) == 0; }
  Heritage heritage_for(int control, const conf::Config* config) {
    Heritage heritage{};
    heritage.config = config;
    heritage.segment = &instance_.segment;
    heritage.worker_count = 1;
    heritage.listeners = {{listening_.get(), 0, false}};
    heritage.doorbell_read = instance_.read_ends[0].get();
    for (const UniqueFd& end : instance_.write_ends) heritage.doorbell_write.push_back(end.get());
    heritage.control = control;
    return heritage;
  }

  fcgi::TempDir dir_;
  sockaddr_un address_{};
  UniqueFd listening_;
  int round_ = 0;
};

}  // namespace holdfast
