#include "tests/unit/master/fake_worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/clock.h"

namespace holdfast::test {
namespace {

constexpr int kTurnMs = 10;

class FakeWorker {
 public:
  explicit FakeWorker(const Heritage& heritage) : heritage_(heritage) {
    for (const InheritedListener& listener : heritage.listeners) listeners_.push_back(listener.fd);
  }

  int run() {
    signal(SIGABRT, SIG_DFL);
    if (access((heritage_.config->server.runtime_dir + "/fail").c_str(), F_OK) == 0) return 3;
    head().state.store(shm::SlotState::serving);
    if (send(heritage_.control, &control_word::kReady, 1, MSG_NOSIGNAL) != 1) return 4;
    while (!done_) turn();
    return 0;
  }

 private:
  shm::SlotHead& head() { return heritage_.segment->slot(heritage_.slot); }

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
    if (quitting_ && clients_.empty()) done_ = true;
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
    char word = 0;
    ssize_t got = recv(heritage_.control, &word, 1, 0);
    if (got == -1) return;
    if (got == 0) word = control_word::kDrain;  // the master died
    orphan_ = orphan_ || got == 0;
    if (word == control_word::kTerm) done_ = true;
    if (word != control_word::kDrain && word != control_word::kQuit) return;
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
  std::vector<int> listeners_, clients_;
  bool done_ = false, draining_ = false, quitting_ = false, orphan_ = false;
  uint64_t drain_until_ms_ = 0;
};

}  // namespace

int fake_worker_main(const Heritage& heritage) {
  return FakeWorker(heritage).run();
}

}  // namespace holdfast::test
