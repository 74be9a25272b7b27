// bench/load/floor.cc - holdfast-floor: the least that a server can do for holdfast-bench, so that a server's own cost can be
// told from the kernel's.
//
// Speaks as much of WebSocket and of RESP as holdfast-bench needs, and trusts it blindly. One channel, "bench"; no timers, no limits, no queues: what a socket does not take at once ends the program.
//   hand-shake  accept4(2), epoll add, recv(2), the accept value, send(2)
//   message     recv(2), unmasked in place, sent back with one send(2)
//   PUBLISH     one recv(2) of what has come; for each command one send(2) to each connection; one send(2) of the answers
//   HF.SEND     the same to one connection
// With --processes N each of N processes has its own listening socket of the same port (SO_REUSEPORT) and its connections;
// the first serves the pusher and passes what is for the others' connections to them over socket pairs.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/fd.h"
#include "wire/ws/encoder.h"
#include "wire/ws/mask.h"

namespace holdfast::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kMaxDescriptors = 1 << 20;

enum class Role : uint8_t { none, listener, shaking, open, api_listener, api, relay };

// Between processes: whom a frame is for, and the frame.
constexpr int kEverybody = -1;

struct Shared {
  std::atomic<uint32_t> members;  // of the channel, in all processes
};

UniqueFd listen_at(const std::string& address) {
  size_t colon = address.rfind(':');
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(uint16_t(std::stoul(address.substr(colon + 1))));
  HF_CHECK(inet_pton(AF_INET, address.substr(0, colon).c_str(), &where.sin_addr) == 1);
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  HF_CHECK(bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  HF_CHECK(listen(fd.get(), 4096) == 0);
  return fd;
}

void send_whole(int fd, std::string_view bytes) {
  ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  bool left = sent == -1 && (errno == EPIPE || errno == ECONNRESET);
  HF_CHECK(left || sent == ssize_t(bytes.size()));
}

// The head of a text frame.
std::string frame_head(size_t bytes) {
  char head[10];
  return {head, ws::write_header(head, ws::Opcode::text, bytes)};
}

// Base64 of the SHA-1 of key and GUID (RFC 6455, 4.2.2).
std::string accept_of(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  char encoded[64];
  int bytes = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded), digest, sizeof digest);
  return {encoded, size_t(bytes)};
}

class Floor {
 public:
  Floor(const std::string& address, const std::string& api, Shared& shared, unsigned index,
        UniqueFd relay, std::vector<UniqueFd> others)
      : shared_(shared),
        index_(index),
        relay_(std::move(relay)),
        others_(std::move(others)),
        listener_(listen_at(address)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        roles_(kMaxDescriptors, Role::none),
        scratch_(kReadBytes) {
    watch(listener_.get(), Role::listener);
    if (relay_) {
      watch(relay_.get(), Role::relay);
    } else {
      api_listener_ = listen_at(api);
      watch(api_listener_.get(), Role::api_listener);
    }
  }

  [[noreturn]] void run() {
    epoll_event events[512];
    for (;;) {
      int ready = epoll_wait(epoll_.get(), events, std::size(events), -1);
      for (int i = 0; i < ready; ++i) on_ready(events[i].data.fd);
    }
  }

 private:
  void watch(int fd, Role role) {
    roles_[size_t(fd)] = role;
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    HF_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }

  void on_ready(int fd) {
    switch (roles_[size_t(fd)]) {
      case Role::listener:
        return accept_one(fd, Role::shaking);
      case Role::api_listener:
        return accept_one(fd, Role::api);
      default:
        break;
    }
    ssize_t got = recv(fd, scratch_.data(), scratch_.size(), 0);
    if (got <= 0) return leave(fd);
    std::string_view bytes(scratch_.data(), size_t(got));
    switch (roles_[size_t(fd)]) {
      case Role::shaking:
        return shake_hands(fd, bytes);
      case Role::open:
        return echo(fd, bytes);
      case Role::api:
        return serve_pusher(fd, bytes);
      default:
        return send_relayed(bytes);
    }
  }

  void accept_one(int listener, Role role) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(fd, role);
  }

  void leave(int fd) {
    if (std::erase(members_, fd) > 0) shared_.members.fetch_sub(1, std::memory_order_relaxed);
    roles_[size_t(fd)] = Role::none;
    close(fd);
  }

  // holdfast-bench sends its hand-shake with one call, and nothing behind it before the answer.
  void shake_hands(int fd, std::string_view bytes) {
    constexpr std::string_view kField = "Sec-WebSocket-Key: ";
    constexpr size_t kKeyBytes = 24;
    size_t key = bytes.find(kField);
    HF_CHECK(key != std::string_view::npos);
    std::string accept = accept_of(bytes.substr(key + kField.size(), kKeyBytes));
    send_whole(fd, fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n"
                               "Holdfast-Session: {:032}\r\n\r\n",
                               accept, index_ * kMaxDescriptors + unsigned(fd)));
    roles_[size_t(fd)] = Role::open;
    if (bytes.substr(0, bytes.find("\r\n")).find("channel=bench ") == std::string_view::npos)
      return;
    members_.push_back(fd);
    shared_.members.fetch_add(1, std::memory_order_relaxed);
  }

  // Whole frames of the same kind as holdfast-bench sends them; a close frame ends it.
  void echo(int fd, std::string_view bytes) {
    out_.clear();
    while (bytes.size() >= 6) {
      if ((bytes[0] & 0x0f) == 8) return leave(fd);
      size_t length = bytes[1] & 0x7f, head = 6;
      if (length == 126) length = load_be16(bytes.data() + 2), head = 8;
      if (length == 127) length = load_be64(bytes.data() + 2), head = 14;
      HF_CHECK(bytes.size() >= head + length);
      ws::MaskKey key;
      std::memcpy(key.data(), bytes.data() + head - 4, 4);
      out_ += frame_head(length);
      size_t at = out_.size();
      out_.append(bytes.substr(head, length));
      ws::apply_mask(out_.data() + at, length, key);
      bytes.remove_prefix(head + length);
    }
    send_whole(fd, out_);
  }

  void send_all(std::string_view frame) {
    for (int fd : members_) send_whole(fd, frame);
  }

  void send_relayed(std::string_view bytes) {
    int to;
    std::memcpy(&to, bytes.data(), sizeof to);
    bytes.remove_prefix(sizeof to);
    to == kEverybody ? send_all(bytes) : send_whole(to, bytes);
  }

  void relay(unsigned process, int to, std::string_view frame) {
    relayed_.assign(reinterpret_cast<const char*>(&to), sizeof to).append(frame);
    send_whole(others_[process - 1].get(), relayed_);
  }

  void send_to(size_t session, std::string_view frame) {
    auto process = unsigned(session / kMaxDescriptors);
    int fd = int(session % kMaxDescriptors);
    process == index_ ? send_whole(fd, frame) : relay(process, fd, frame);
  }

  // "*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$128\r\n...\r\n", as many as have come.
  void serve_pusher(int fd, std::string_view bytes) {
    pushed_ += bytes;
    std::string answers;
    size_t used = 0;
    for (std::string_view words[3]; size_t command = take_command(used, words); used += command) {
      std::string frame = frame_head(words[2].size()).append(words[2]);
      if (words[0] == "PUBLISH") {
        for (unsigned i = 1; i <= others_.size(); ++i) relay(i, kEverybody, frame);
        send_all(frame);
        answers += fmt::format(":{}\r\n", shared_.members.load(std::memory_order_relaxed));
      } else {
        size_t to = 0;
        std::from_chars(words[1].data(), words[1].data() + words[1].size(), to);
        send_to(to, frame);
        answers += ":1\r\n";
      }
    }
    pushed_.erase(0, used);
    if (!answers.empty()) send_whole(fd, answers);
  }

  // Bytes of the command of three words at `at`; 0: it is not whole.
  size_t take_command(size_t at, std::string_view* words) {
    std::string_view rest = std::string_view(pushed_).substr(at);
    if (rest.size() < 4) return 0;
    rest.remove_prefix(4);
    for (int i = 0; i < 3; ++i) {
      size_t line = rest.find("\r\n"), length = 0;
      if (line == std::string_view::npos) return 0;
      std::from_chars(rest.data() + 1, rest.data() + line, length);
      if (rest.size() < line + 2 + length + 2) return 0;
      words[i] = rest.substr(line + 2, length);
      rest.remove_prefix(line + 2 + length + 2);
    }
    return pushed_.size() - at - rest.size();
  }

  Shared& shared_;
  unsigned index_;  // of this process
  UniqueFd relay_;  // of all processes but the first: what the pusher wants comes here
  std::vector<UniqueFd> others_;  // of the first: the other ends
  UniqueFd listener_, api_listener_, epoll_;
  std::vector<Role> roles_;  // by descriptor
  std::vector<int> members_;
  std::vector<char> scratch_;
  std::string out_, pushed_, relayed_;
};

int run(const std::string& address, const std::string& api, unsigned processes) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HF_CHECK(memory != MAP_FAILED);
  auto& shared = *static_cast<Shared*>(memory);
  std::vector<UniqueFd> others;
  for (unsigned i = 1; i < processes; ++i) {
    int pair[2];
    HF_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    UniqueFd ours(pair[0]), theirs(pair[1]);
    pid_t pid = fork();
    HF_CHECK(pid != -1);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      ours.reset();
      Floor(address, api, shared, i, std::move(theirs), {}).run();
    }
    others.push_back(std::move(ours));
  }
  Floor(address, api, shared, 0, {}, std::move(others)).run();
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  std::string address = "127.0.0.1:8080", api = "127.0.0.1:8081";
  unsigned processes = 1;
  CLI::App app{"Serves holdfast-bench with as little as can be."};
  app.name("holdfast-floor");
  app.add_option("-a,--address", address, "where clients connect")->capture_default_str();
  app.add_option("--api", api, "where the pusher connects (RESP)")->capture_default_str();
  app.add_option("--processes", processes, "that share the connections")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return holdfast::bench::run(address, api, processes);
}
