#include "master/resolver_process.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "conf/server_address.h"

namespace holdfast::master {
namespace {

constexpr int kSocket = 3;  // in the resolver
constexpr unsigned kMaxThreads = 16;
constexpr size_t kMaxPacket = 4096;
std::atomic<unsigned> threads{0};

std::string text_of(const sockaddr& address) {
  char host[INET6_ADDRSTRLEN];
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    if (inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host) == nullptr) return {};
    return fmt::format("{}:{}", host, ntohs(v4.sin_port));
  }
  if (address.sa_family != AF_INET6) return {};
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  if (inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host) == nullptr) return {};
  return fmt::format("[{}]:{}", host, ntohs(v6.sin6_port));
}

// "a:1 b:1 ...", "" for none.
std::string look_up(const std::string& name_and_port) {
  size_t colon = name_and_port.rfind(':');
  if (colon == std::string::npos) return {};
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* first = nullptr;
  if (getaddrinfo(name_and_port.substr(0, colon).c_str(), name_and_port.substr(colon + 1).c_str(),
                  &wanted, &first) != 0)
    return {};
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(first, freeaddrinfo);
  std::string found;
  for (const addrinfo* one = all.get(); one != nullptr; one = one->ai_next) {
    std::string text = text_of(*one->ai_addr);
    if (text.empty() || found.size() + text.size() + 1 > kMaxPacket - sizeof(uint64_t)) continue;
    if (!found.empty()) found += ' ';
    found += text;
  }
  return found;
}

// One packet is one answer: threads need not take turns.
void answer(std::string packet) {
  std::string found = look_up(packet.substr(sizeof(uint64_t)));
  packet.resize(sizeof(uint64_t));
  packet += found;
  (void)send(kSocket, packet.data(), packet.size(), MSG_NOSIGNAL);
  --threads;
}

[[noreturn]] void serve() {
  for (;;) {
    char packet[kMaxPacket];
    ssize_t got = recv(kSocket, packet, sizeof packet, 0);
    if (got == -1 && errno == EINTR) continue;
    if (got < ssize_t(sizeof(uint64_t))) _exit(0);  // the worker has gone
    while (threads.load() >= kMaxThreads) usleep(10'000);
    ++threads;
    try {
      std::thread(answer, std::string(packet, size_t(got))).detach();
    } catch (const std::system_error&) {  // no thread: one after the other
      answer(std::string(packet, size_t(got)));
    }
  }
}

// noexcept: nothing of the worker's frames may run here.
[[noreturn]] void become_resolver(UniqueFd end) noexcept {
  for (int standard : {SIGTERM, SIGQUIT}) signal(standard, SIG_DFL);
  prctl(PR_SET_NAME, "holdfastd/names");
  if (end.get() != kSocket && dup3(end.get(), kSocket, O_CLOEXEC) == -1) _exit(1);
  if (end.get() == kSocket) (void)end.release();
  close_range(kSocket + 1, ~0u, 0);
  serve();
}

}  // namespace

bool has_names(const conf::Config& config) {
  return std::any_of(config.backends.begin(), config.backends.end(), [](const auto& named) {
    const std::vector<conf::BackendServer>& servers = named.second.servers;
    return std::any_of(servers.begin(), servers.end(),
                       [](const auto& server) { return conf::is_name(server.address); });
  });
}

Result<UniqueFd> start_resolver() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{Errc::io, errno, "a socket for the resolver"};
  UniqueFd ours(ends[0]), theirs(ends[1]);
  signal(SIGCHLD, SIG_IGN);  // nobody waits for it
  pid_t pid = fork();
  if (pid == -1) return Error{Errc::io, errno, "fork a resolver"};
  if (pid == 0) {
    ours.reset();
    become_resolver(std::move(theirs));
  }
  return ours;
}

}  // namespace holdfast::master
