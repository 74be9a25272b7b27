// bench/load/handover_floor.cc - holdfast-handover-floor: the least that moving connections from one process to
// another can take.
//
// For each slot in turn a sender with its share of N connected TCP sockets, all in its epoll set, a receiver, and a
// process that holds the other ends. Timed is, from the first call to the receiver's last word:
//   sender    epoll del of each, then sendmsg(2) of a batch: descriptors (SCM_RIGHTS) and 64 bytes of state for each
//   receiver  recvmsg(2) of it, a copy of the state kept, epoll add of each
// Opening and closing are not timed. What a server does on top is all that stands between this number and its own.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"

namespace holdfast::bench {
namespace {

constexpr unsigned kMaxBatch = 253;  // SCM_MAX_FD
constexpr unsigned kMaxSlot = 19'900;

struct Plan {
  unsigned connections = 1000, slots = 1, batch = 64, state_bytes = 64;
  bool json = false;
};

// A child that dies with us; it must not return.
template <class Work>
pid_t in_child(Work work) {
  pid_t pid = fork();
  HF_CHECK(pid != -1);
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  work();
  _exit(0);
}

struct Pair {
  UniqueFd ours, theirs;
};

Pair make_pair() {
  int fds[2];
  HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

UniqueFd make_epoll() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  HF_CHECK(bool(epoll));
  return epoll;
}

void add(const UniqueFd& epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  HF_CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

// ---- The connections

UniqueFd listen_anywhere(sockaddr_in* address) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  *address = {};
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof *address;
  auto* raw = reinterpret_cast<sockaddr*>(address);
  HF_CHECK(bind(listener.get(), raw, bytes) == 0 && listen(listener.get(), 1024) == 0);
  HF_CHECK(getsockname(listener.get(), raw, &bytes) == 0);
  return listener;
}

void hold_other_ends(const sockaddr_in& address, unsigned count) {
  std::vector<UniqueFd> held;
  for (unsigned i = 0; i < count; ++i) {
    held.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    HF_CHECK(connect(held.back().get(), reinterpret_cast<const sockaddr*>(&address),
                     sizeof address) == 0);
  }
  pause();
}

std::vector<UniqueFd> accept_all(const UniqueFd& listener, const UniqueFd& epoll, unsigned count) {
  std::vector<UniqueFd> sockets;
  for (unsigned i = 0; i < count; ++i) {
    sockets.emplace_back(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    HF_CHECK(bool(sockets.back()));
    add(epoll, sockets.back().get());
  }
  return sockets;
}

// ---- The move

struct Batch {
  alignas(cmsghdr) char room[CMSG_SPACE(kMaxBatch * sizeof(int))] = {};
  std::vector<char> state;
  iovec part{};
  msghdr message{};

  explicit Batch(const Plan& plan) : state(size_t{plan.batch} * plan.state_bytes, 's') {}
  // For so many descriptors.
  void prepare(const Plan& plan, unsigned count, size_t room_bytes) {
    part = {state.data(), size_t{count} * plan.state_bytes};
    message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = room_bytes;
  }
};

void send_all(const Plan& plan, const UniqueFd& channel, const UniqueFd& epoll,
              const std::vector<UniqueFd>& sockets) {
  Batch batch(plan);
  for (size_t at = 0; at < sockets.size(); at += plan.batch) {
    auto count = unsigned(std::min(sockets.size() - at, size_t{plan.batch}));
    batch.prepare(plan, count, CMSG_SPACE(count * sizeof(int)));
    cmsghdr* head = CMSG_FIRSTHDR(&batch.message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; ++i) {
      int fd = sockets[at + i].get();
      HF_CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
      std::memcpy(CMSG_DATA(head) + i * sizeof fd, &fd, sizeof fd);
    }
    HF_CHECK(sendmsg(channel.get(), &batch.message, MSG_NOSIGNAL) == ssize_t(batch.part.iov_len));
  }
}

void receive_all(const Plan& plan, const UniqueFd& channel, unsigned count) {
  UniqueFd epoll = make_epoll();
  Batch batch(plan);
  std::vector<char> states;
  for (unsigned taken = 0; taken < count;) {
    unsigned due = std::min(plan.batch, count - taken);
    batch.prepare(plan, due, sizeof batch.room);
    ssize_t got = recvmsg(channel.get(), &batch.message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    HF_CHECK(got == ssize_t(batch.part.iov_len) && (batch.message.msg_flags & MSG_CTRUNC) == 0);
    cmsghdr* head = CMSG_FIRSTHDR(&batch.message);
    HF_CHECK(head != nullptr && head->cmsg_len == CMSG_LEN(due * sizeof(int)));
    states.insert(states.end(), batch.state.begin(), batch.state.begin() + got);
    for (unsigned i = 0; i < due; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      add(epoll, fd);
    }
    taken += due;
  }
  HF_CHECK(write(channel.get(), "R", 1) == 1);
  char end;
  HF_CHECK(read(channel.get(), &end, 1) == 0);  // closing is not timed
}

// Nanoseconds in which one slot's connections have moved.
uint64_t move_slot(const Plan& plan, unsigned count) {
  Pair channel = make_pair();
  pid_t receiver = in_child([&] {
    channel.ours.reset();
    receive_all(plan, channel.theirs, count);
  });
  channel.theirs.reset();
  sockaddr_in address;
  UniqueFd listener = listen_anywhere(&address);
  pid_t holder = in_child([&] { hold_other_ends(address, count); });
  UniqueFd epoll = make_epoll();
  std::vector<UniqueFd> sockets = accept_all(listener, epoll, count);

  uint64_t began = monotonic_ns();
  send_all(plan, channel.ours, epoll, sockets);
  char word = 0;
  HF_CHECK(read(channel.ours.get(), &word, 1) == 1);
  uint64_t took = monotonic_ns() - began;

  sockets.clear();  // our end first: the closed ports wait (TIME_WAIT) here
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  channel.ours.reset();
  waitpid(receiver, nullptr, 0);
  return took;
}

int run(const Plan& plan) {
  uint64_t ns = 0;
  for (unsigned slot = 0; slot < plan.slots; ++slot) {
    uint64_t end = uint64_t{plan.connections} * (slot + 1) / plan.slots;
    ns += move_slot(plan, unsigned(end - uint64_t{plan.connections} * slot / plan.slots));
  }
  double rate = double(plan.connections) * 1e9 / double(ns);
  if (plan.json)
    fmt::print(R"({{"connections":{},"slots":{},"batch":{},"ms":{:.3f},"per_second":{:.0f}}})"
               "\n",
               plan.connections, plan.slots, plan.batch, double(ns) / 1e6, rate);
  else
    fmt::print("{} connections, {} slots, batches of {}: {:.2f} ms, {:.0f} a second\n",
               plan.connections, plan.slots, plan.batch, double(ns) / 1e6, rate);
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  Plan plan;
  CLI::App app{"How fast can N connected sockets be moved from one process to another?"};
  app.name("holdfast-handover-floor");
  app.add_option("N", plan.connections, "connections")
      ->required()
      ->check(CLI::Range(1u, 10'000'000u));
  app.add_option("--slots", plan.slots, "moved one after the other")->check(CLI::Range(1u, 1024u));
  app.add_option("--batch", plan.batch, "descriptors of one message")
      ->check(CLI::Range(1u, kMaxBatch));
  app.add_option("--state", plan.state_bytes, "bytes with each")->check(CLI::Range(1u, 65'536u));
  app.add_flag("--json", plan.json, "one line of JSON");
  CLI11_PARSE(app, argc, argv);
  if (plan.connections / plan.slots > kMaxSlot) {
    fmt::print(stderr, "holdfast-handover-floor: at most {} connections a slot\n", kMaxSlot);
    return 2;
  }
  return run(plan);
}
