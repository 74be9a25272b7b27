// Behind a real nginx that is configured word for word as docs/hardening.md says.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "base/fd.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

sockaddr_in loopback(const char* ip, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, ip, &address.sin_addr);
  return address;
}

// Of the moment: whoever takes it meanwhile makes nginx end, and another is tried.
uint16_t free_port() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback("127.0.0.1", 0);
  socklen_t bytes = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0)
    throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// The first block of the page, for the gateway's address.
std::string documented_location(const std::string& upstream,
                                const std::string& name = "/docs/hardening.md") {
  std::string page = read_file(HOLDFAST_SOURCE_ROOT + name);
  const std::string fence = "```nginx\n", placeholder = "127.0.0.1:8080";
  size_t begin = page.find(fence);
  if (begin == page.npos) throw std::runtime_error(name + " has no block for nginx");
  begin += fence.size();
  std::string block = page.substr(begin, page.find("```", begin) - begin);
  size_t at = block.find(placeholder);
  if (at == block.npos) throw std::runtime_error("the block for nginx has no " + placeholder);
  return block.replace(at, placeholder.size(), upstream);
}

class Nginx {
 public:
  explicit Nginx(const std::string& location) {
    chmod(dir_.path().c_str(), 0755);
    for (int tries = 0; tries < 5; ++tries) {
      port_ = free_port();
      std::string listen = "127.0.0.1:" + std::to_string(port_);
      write_file(dir_ / "nginx.conf",
                 "daemon off; master_process off; worker_processes 1; pid " + (dir_ / "pid") +
                     "; error_log " + (dir_ / "error.log") +
                     ";\nevents { worker_connections 256; }\nhttp { access_log off;\n"
                     "client_body_temp_path " +
                     (dir_ / "body") + "; proxy_temp_path " + (dir_ / "proxy") +
                     "; fastcgi_temp_path " + (dir_ / "fastcgi") + "; uwsgi_temp_path " +
                     (dir_ / "uwsgi") + "; scgi_temp_path " + (dir_ / "scgi") +
                     ";\nserver { listen " + listen + ";\n" + location + "}}\n");
      process_ =
          Process({"nginx", "-p", dir_.path(), "-e", dir_ / "error.log", "-c", dir_ / "nginx.conf"},
                  dir_ / "out");
      bool up = eventually([&] {
        try {
          connect_to(listen);
          return true;
        } catch (const std::runtime_error&) {
          return !process_.running();
        }
      });
      if (up && process_.running()) return;
    }
    throw std::runtime_error("nginx did not start (is the package nginx installed?): " +
                             read_file(dir_ / "out"));
  }
  uint16_t port() const { return port_; }

 private:
  TempDir dir_;
  uint16_t port_ = 0;
  Process process_;
};

class BehindNginx : public ::testing::Test {
 protected:
  explicit BehindNginx(const std::string& limits = {})
      : gw_({.limits = limits,
             .tables = echo_ws("proxies = [\"127.0.0.1\"]\nforwarded = \"X-Forwarded-For\"\n")}),
        nginx_(documented_location(gw_.listener())) {}

  // A hand-shake as a browser sends it, from an address of its own. The connection stays in `in_`.
  int status_of(const std::string& more, const char* from = "127.0.0.7") {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in here = loopback(from, 0), there = loopback("127.0.0.1", nginx_.port());
    timeval patience{timeout_ms() / 1000, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&there), sizeof there), 0);
    std::string request =
        "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        more + "\r\n";
    EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
              ssize_t(request.size()));
    std::string answer;
    char bytes[1024];
    while (answer.find("\r\n\r\n") == answer.npos) {
      ssize_t got = recv(fd.get(), bytes, sizeof bytes, 0);
      if (got <= 0) break;
      answer.append(bytes, size_t(got));
    }
    in_.push_back(std::move(fd));
    return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3));
  }

  Gateway gw_;
  Nginx nginx_;
  std::vector<UniqueFd> in_;
};

const std::string kHost = "Host: www.example.com:8443\r\n";

TEST_F(BehindNginx, PagesOfTheSameHostGetInAndOthersDoNot) {
  EXPECT_EQ(status_of(kHost + "Origin: https://www.example.com:8443\r\n"), 101);
  EXPECT_EQ(status_of("Host: www.example.com\r\nOrigin: https://www.example.com\r\n"), 101);
  EXPECT_EQ(status_of(kHost + "Origin: https://evil.example\r\n"), 403);
  EXPECT_EQ(gw_.counter_becomes("handshakes.bad_origin", 1), 1u);
  EXPECT_TRUE(eventually([&] {
    return gw_.log().find("origin=\"https://evil.example\" host=\"www.example.com:8443\"") !=
           std::string::npos;
  })) << gw_.log();
}

class BehindNginxLimited : public BehindNginx {
 protected:
  BehindNginxLimited() : BehindNginx("max_connections_per_ip = 3") {}
};

TEST_F(BehindNginxLimited, WhateverAClientWritesIntoTheHeaderItCountsForItsAddress) {
  const char* const forged[] = {"\"", "198.51.100.66, \"", "\\\"", ",", "unknown, [", "for=\"x"};
  for (size_t i = 0; i < std::size(forged); ++i)
    EXPECT_EQ(status_of(kHost + "X-Forwarded-For: " + forged[i] + "\r\n"), i < 3 ? 101 : 429)
        << forged[i];
  EXPECT_EQ(status_of(kHost, "127.0.0.8"), 101);
  EXPECT_EQ(gw_.counter_becomes("limits.address_connections", 3), 3u);
  EXPECT_EQ(gw_.counter("handshakes.bad_forwarded"), 0u);
}

// By docs/server-sent-events.md: nothing is held back, nobody waits for what follows, and a reader that leaves is noticed.
TEST(BehindNginxStreams, EventsPassAtOnceBesideWebSockets) {
  Gateway gw({.tables = relay_ws("streams = [\"sse\"]\nproxies = [\"127.0.0.1\"]\n"
                                 "forwarded = \"X-Forwarded-For\"\n")});
  Nginx nginx(documented_location(gw.listener(), "/docs/server-sent-events.md"));
  const std::string address = "127.0.0.1:" + std::to_string(nginx.port());
  Stream stream(address);
  stream.write(
      "GET /ws?channel=room HTTP/1.1\r\nHost: www.example.com\r\n"
      "Origin: https://www.example.com\r\nAccept: text/event-stream\r\n\r\n");
  std::string head = stream.read_until("\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
  EXPECT_NE(head.find("Access-Control-Allow-Origin: https://www.example.com\r\n"), head.npos)
      << head;
  EXPECT_TRUE(stream.read_until("\n\n\r\n").find("retry: ") != std::string::npos);  // in a chunk
  WsClient web(address, "/ws?channel=room", {.origin = "http://localhost"});
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  HttpClient api(gw.api());
  for (std::string text : {"one", "two"}) {
    ASSERT_EQ(api.post("/v1/publish", publish_body({"room"}, text)).status, 200);
    EXPECT_TRUE(stream.read_until("\n\n\r\n").ends_with("data: " + text + "\n\n\r\n"));
    EXPECT_EQ(web.next_text(), text);
  }
  stream.close();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
}

}  // namespace
}  // namespace holdfast::test
