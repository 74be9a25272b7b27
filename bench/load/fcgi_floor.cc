// bench/load/fcgi_floor.cc - holdfast-fcgi-floor: the least that a FastCGI client can do, so that what holdfastd adds to php-fpm
// can be told.
//
// Keeps a few connections; on each, one send(2) of the request that holdfastd would send for a message of --payload bytes, recv(2)
// until END_REQUEST, and the same again. Prints one line of JSON: requests, and CPU microseconds of each, this program's and
// of the process tree --pid.
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bench/load/accounting.h"
#include "wire/fcgi/records.h"

namespace holdfast::bench {
namespace {

struct Setup {
  std::string server, script;  // path of a unix socket; of a PHP file
  unsigned connections = 4;
  size_t payload = 128;
  double duration_s = 5;
  pid_t pid = 0;
};

// The parameters that holdfastd sends for a message of a WebSocket, with values of the same lengths.
std::string request_of(const Setup& setup) {
  const std::pair<std::string_view, std::string> params[] = {
      {"GATEWAY_INTERFACE", "CGI/1.1"},
      {"SERVER_SOFTWARE", "holdfast/0.0.0"},
      {"REQUEST_METHOD", "POST"},
      {"SCRIPT_FILENAME", setup.script},
      {"SCRIPT_NAME", "/echo.php"},
      {"DOCUMENT_ROOT", setup.script.substr(0, setup.script.rfind('/'))},
      {"HOLDFAST_NODE", "0"},
      {"REQUEST_URI", "/ws"},
      {"QUERY_STRING", ""},
      {"REMOTE_ADDR", "127.0.0.1"},
      {"REMOTE_PORT", "50000"},
      {"SERVER_ADDR", "127.0.0.1"},
      {"SERVER_PORT", "40000"},
      {"SERVER_PROTOCOL", "HTTP/1.1"},
      {"SESSIONID", std::string(32, '0')},
      {"HTTP_CONNECTION", "Upgrade"},
      {"HTTP_HOST", "127.0.0.1:40000"},
      {"HTTP_SEC_WEBSOCKET_KEY", "dGhlIHNhbXBsZSBub25jZQ=="},
      {"HTTP_SEC_WEBSOCKET_VERSION", "13"},
      {"HTTP_UPGRADE", "websocket"},
      {"SERVER_NAME", "127.0.0.1"},
      {"CONTENT_LENGTH", std::to_string(setup.payload)},
      {"CONTENT_TYPE", "text/plain; charset=utf-8"},
      {"HOLDFAST_EVENT", "message"},
      {"HOLDFAST_OPCODE", "text"}};
  std::string encoded;
  for (const auto& [name, value] : params) fcgi::append_param(encoded, name, value);
  return fcgi::encode_request(encoded, std::string(setup.payload, 'x'), true);
}

class Exchange {
 public:
  Exchange(const std::string& server, std::string_view request)
      : request_(request), fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    HF_CHECK(server.size() < sizeof where.sun_path);
    server.copy(where.sun_path, server.size());
    HF_CHECK(connect(fd_.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  }
  int fd() const { return fd_.get(); }

  void start() {
    HF_CHECK(send(fd_.get(), request_.data(), request_.size(), MSG_NOSIGNAL) ==
             ssize_t(request_.size()));
  }
  // True: the answer is whole, and has a body.
  bool receive() {
    char bytes[16384];
    ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
    HF_CHECK(got > 0);
    answer_.append(bytes, size_t(got));
    constexpr size_t kHead = 8;
    constexpr uint8_t kEndRequest = 3;  // FastCGI Specification 1.0, section 8
    for (;;) {
      if (answer_.size() - at_ < kHead) return false;
      auto type = uint8_t(answer_[at_ + 1]);
      size_t record = kHead + load_be16(answer_.data() + at_ + 4) + uint8_t(answer_[at_ + 6]);
      if (answer_.size() - at_ < record) return false;
      at_ += record;
      if (type != kEndRequest) continue;
      HF_CHECK(answer_.find("\r\n\r\nxxx") != std::string::npos);
      answer_.clear();
      at_ = 0;
      return true;
    }
  }

 private:
  std::string_view request_;
  UniqueFd fd_;
  std::string answer_;
  size_t at_ = 0;  // records before it are read
};

double own_cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double tree_cpu_s(pid_t pid) {
  Result<Usage> usage = usage_of_tree(pid);
  HF_CHECK(usage);
  return usage->cpu_s;
}

void run(const Setup& setup) {
  std::string request = request_of(setup);
  std::vector<Exchange> exchanges;
  std::vector<pollfd> ready;
  for (unsigned i = 0; i < setup.connections; ++i) {
    exchanges.emplace_back(setup.server, request);
    ready.push_back({.fd = exchanges.back().fd(), .events = POLLIN, .revents = 0});
  }
  double server_before = tree_cpu_s(setup.pid), own_before = own_cpu_s();
  uint64_t end = monotonic_ns() + uint64_t(setup.duration_s * 1e9), done = 0;
  for (Exchange& exchange : exchanges) exchange.start();
  while (monotonic_ns() < end) {
    HF_CHECK(poll(ready.data(), ready.size(), -1) > 0);
    for (size_t i = 0; i < ready.size(); ++i) {
      if (ready[i].revents == 0 || !exchanges[i].receive()) continue;
      ++done;
      exchanges[i].start();
    }
  }
  auto each = [&](double cpu_s) { return cpu_s * 1e6 / double(done); };
  double own = each(own_cpu_s() - own_before), server = each(tree_cpu_s(setup.pid) - server_before);
  fmt::print("{{\"requests\":{},\"cpu_us_per_request\":{:.3f},\"server_us_per_request\":{:.3f}}}\n",
             done, own, server);
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  holdfast::bench::Setup setup;
  CLI::App app{"Asks a FastCGI server the same again and again, with as little as can be."};
  app.name("holdfast-fcgi-floor");
  app.add_option("--server", setup.server, "path of its unix socket")->required();
  app.add_option("--script", setup.script,
                 "path of a PHP file that answers with the request's body")
      ->required();
  app.add_option("--pid", setup.pid, "of the server")->required();
  app.add_option("--connections", setup.connections)
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str();
  app.add_option("--payload", setup.payload)
      ->check(CLI::Range(3u, 1u << 20))
      ->capture_default_str();
  app.add_option("--duration", setup.duration_s)
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  holdfast::bench::run(setup);
}
