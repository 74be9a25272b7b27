#include "tests/unit/master/fake_worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fault.h"
#include "tests/unit/master/fake_handover.h"
#include "worker/life/control_words.h"

namespace holdfast::test {
namespace {

constexpr int kTurnMs = 10;

// Held by the one who believes that it serves the slot: a name that only one process can have, and
// that dies with it.
class ServingMark {
 public:
  explicit ServingMark(const Heritage& heritage) {
    std::string name =
        fmt::format("{}/serves-{}", heritage.config->server.runtime_dir, heritage.slot);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    fd_ = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      std::ofstream(heritage.config->server.runtime_dir + "/two-serve") << name;
  }

 private:
  UniqueFd fd_;
};

class FakeWorker {
 public:
  explicit FakeWorker(const Heritage& heritage) : heritage_(heritage) {
    for (const InheritedListener& listener : heritage.listeners) listeners_.push_back(listener.fd);
  }

  int run() {
    signal(SIGABRT, SIG_DFL);
    if (is_there("fail")) return 3;
    if (heritage_.standby) {
      if (!take_the_slot()) return 1;
      begin_serving();
      say(heritage_.control, control_word::kTaken);
    } else {
      begin_serving();
      say(heritage_.control, control_word::kReady);
    }
    while (!done_) turn();
    return 0;
  }

 private:
  shm::SlotHead& head() { return heritage_.segment->slot(heritage_.slot); }

  bool is_there(const std::string& name) const {
    return access((heritage_.config->server.runtime_dir + "/" + name).c_str(), F_OK) == 0;
  }

  void begin_serving() {
    mark_.emplace(heritage_);
    head().generation.store(heritage_.generation);
    head().started_wall_ms.store(wall_ms());
    head().heartbeat_ms.store(monotonic_ms());
    head().pid.store(uint32_t(getpid()));
    head().state.store(heritage_.accepts ? shm::SlotState::serving : shm::SlotState::draining);
  }

  bool take_the_slot() {
    HF_FAULT("fake.forked");
    say(heritage_.control, control_word::kReady);
    HF_FAULT("fake.standing");
    Result<UniqueFd> socket = wait_for_takeover(heritage_.control);
    if (!socket) return false;
    HF_FAULT("fake.told");
    auto clients = receive_clients(socket->get());
    if (!clients) return false;
    await_end(socket->get());
    if (head().pid.load() != uint32_t(getpid())) return false;
    HF_FAULT("fake.taken");
    clients_ = *std::move(clients);
    return true;
  }

  void hand_over(UniqueFd socket) {
    HF_FAULT("fake.asked");
    std::optional<pid_t> successor;
    if (!is_there(fmt::format("refuse-{}", heritage_.slot)))
      successor = send_clients(socket.get(), clients_);
    if (!successor) return say(heritage_.control, control_word::kKept);
    HF_FAULT("fake.before_commit");
    mark_.reset();
    head().pid.store(uint32_t(*successor), std::memory_order_release);
    HF_FAULT("fake.after_commit");
    leave(0);
  }

  void turn() {
    head().heartbeat_ms.store(monotonic_ms());
    std::vector<pollfd> watched{{orphan_ ? -1 : heritage_.control, POLLIN, 0}};
    for (int fd : listeners_) watched.push_back({fd, POLLIN, 0});
    size_t first_client = watched.size();
    for (int fd : clients_) watched.push_back({fd, POLLIN, 0});
    poll(watched.data(), watched.size(), kTurnMs);
    for (size_t i = first_client; i < watched.size(); ++i)
      if (watched[i].revents != 0) answer(watched[i].fd);
    for (size_t i = 1; i < first_client; ++i)
      if (watched[i].revents != 0) accept_from(watched[i].fd);
    if (watched[0].revents != 0) obey();
    if ((quitting_ || !heritage_.accepts) && clients_.empty()) done_ = true;
    if (draining_ && monotonic_ms() >= drain_until_ms_) done_ = true;
  }

  void accept_from(int listener) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) clients_.push_back(fd);
  }

  void answer(int fd) {
    char bytes[256];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) {
      std::erase(clients_, fd);
      close(fd);
      return;
    }
    std::string line(bytes, size_t(got));
    if (line == "crash\n") abort();
    if (line == "hang\n") {
      send(fd, line.data(), line.size(), MSG_NOSIGNAL);
      for (;;) pause();
    }
    if (line == "who\n")
      line = fmt::format("slot={} generation={} pid={} listeners={}\n", heritage_.slot,
                         heritage_.generation, getpid(), listeners_.size());
    send(fd, line.data(), line.size(), MSG_NOSIGNAL);
  }

  void obey() {
    ControlWords words;
    if (!read_control_words(heritage_.control, &words)) {  // the master died
      orphan_ = true;
      return stop_accepting(control_word::kDrain);
    }
    for (char word : words.text) {
      if (word == control_word::kTerm) done_ = true;
      if (word == control_word::kHandOver) hand_over(std::move(words.fd));
      if (word == control_word::kDrain || word == control_word::kQuit) stop_accepting(word);
    }
  }

  void stop_accepting(char word) {
    for (int fd : listeners_) close(fd);
    listeners_.clear();
    head().state.store(shm::SlotState::draining);
    draining_ = true;
    quitting_ = quitting_ || word == control_word::kQuit;
    const conf::Server& server = heritage_.config->server;
    drain_until_ms_ =
        monotonic_ms() + (quitting_ ? server.stop_timeout_ms : server.drain_timeout_ms);
  }

  const Heritage& heritage_;
  std::optional<ServingMark> mark_;
  std::vector<int> listeners_, clients_;
  bool done_ = false, draining_ = false, quitting_ = false, orphan_ = false;
  uint64_t drain_until_ms_ = 0;
};

}  // namespace

int fake_worker_main(const Heritage& heritage) {
  return FakeWorker(heritage).run();
}

}  // namespace holdfast::test
