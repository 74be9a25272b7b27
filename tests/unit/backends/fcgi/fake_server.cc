#include "tests/unit/backends/fcgi/fake_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/clock.h"

namespace holdfast::fcgi {
namespace {

uint64_t timeout_ms() {
  const char* text = std::getenv("HF_TEST_TIMEOUT_MS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 5'000;
}

unsigned byte_at(const std::string& text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

size_t length_at(const std::string& text, size_t& at) {
  size_t length = byte_at(text, at++);
  if (length < 128) return length;
  length &= 0x7f;
  for (int n = 0; n < 3; ++n) length = length << 8 | byte_at(text, at++);
  return length;
}

std::map<std::string, std::string> pairs_of(const std::string& text) {
  std::map<std::string, std::string> pairs;
  for (size_t at = 0; at < text.size();) {
    size_t name = length_at(text, at);
    size_t value = length_at(text, at);
    pairs[text.substr(at, name)] = text.substr(at + name, value);
    at += name + value;
  }
  return pairs;
}

}  // namespace

bool turn_until(Loop& loop, const std::function<bool()>& done) {
  for (uint64_t end = monotonic_ms() + timeout_ms();;) {
    event_base_loop(loop.raw(), EVLOOP_NONBLOCK);
    loop.bury();
    if (done()) return true;
    if (monotonic_ms() >= end) return false;
    pollfd epoll{.fd = -1, .events = 0, .revents = 0};
    poll(&epoll, 1, 1);  // leaves the processor to others
  }
}

TempDir::TempDir() {
  char name[] = "/tmp/holdfast-test-XXXXXX";
  HF_CHECK(mkdtemp(name) != nullptr);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;  // an empty directory left in /tmp fails no test
  std::filesystem::remove_all(path_, ignored);
}

std::string record(int type, std::string_view content, size_t padding, int id) {
  std::string out = {1,
                     char(type),
                     char(id >> 8),
                     char(id),
                     char(content.size() >> 8),
                     char(content.size()),
                     char(padding),
                     0};
  return out.append(content).append(padding, 'p');
}

std::string stdout_record(std::string_view content) {
  return record(6, content);
}
std::string stderr_record(std::string_view content) {
  return record(7, content);
}

std::string end_record(uint32_t app_status, int protocol_status) {
  std::string body = {char(app_status >> 24),
                      char(app_status >> 16),
                      char(app_status >> 8),
                      char(app_status),
                      char(protocol_status),
                      0,
                      0,
                      0};
  return record(3, body);
}

std::string answer(std::string_view body, std::string_view header) {
  return stdout_record(std::string(header) + "\r\n" + std::string(body)) + stdout_record("") +
         end_record();
}

ReceivedRequest FakeConnection::read_request() {
  ReceivedRequest request;
  std::string params;
  while (true) {
    read_bytes(8);
    unsigned type = byte_at(in_, 1);
    size_t content = byte_at(in_, 4) << 8 | byte_at(in_, 5);
    size_t padding = byte_at(in_, 6);
    EXPECT_EQ(byte_at(in_, 0), 1u);
    EXPECT_EQ(byte_at(in_, 2) << 8 | byte_at(in_, 3), 1u);
    in_.clear();
    if (content + padding > 0) read_bytes(content + padding);
    std::string text = in_.substr(0, content);
    in_.clear();
    if (type == 1) request.keep = byte_at(text, 2) == 1;
    if (type == 4) params += text;
    if (type == 5) request.body += text;
    if ((type == 5 && text.empty()) || ::testing::Test::HasFatalFailure() || !fd_) break;
  }
  request.params = pairs_of(params);
  return request;
}

void FakeConnection::read_bytes(size_t bytes) {
  std::string got;
  bool all = turn_until(loop_, [&] {
    char buffer[65536];
    while (got.size() < bytes) {
      ssize_t n =
          recv(fd_.get(), buffer, std::min(sizeof buffer, bytes - got.size()), MSG_DONTWAIT);
      if (n <= 0) break;
      got.append(buffer, size_t(n));
    }
    return got.size() == bytes;
  });
  ASSERT_TRUE(all) << "the pool sent " << got.size() << " of " << bytes << " bytes";
  in_ += got;
}

void FakeConnection::write(std::string_view bytes) {
  bool all = turn_until(loop_, [&] {
    ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) bytes.remove_prefix(size_t(n));
    return bytes.empty();
  });
  ASSERT_TRUE(all) << "the pool did not read " << bytes.size() << " bytes";
}

void FakeConnection::reset() {
  linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd_.reset();
}

void FakeConnection::end_output() {
  shutdown(fd_.get(), SHUT_WR);
}

bool FakeConnection::ended() {
  return turn_until(loop_, [&] {
    char buffer[4096];
    ssize_t n = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return n == 0 || (n == -1 && errno == ECONNRESET);
  });
}

bool FakeConnection::ended_now() {
  event_base_loop(loop_.raw(), EVLOOP_NONBLOCK);
  char byte;
  return recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

bool FakeConnection::silent() {
  event_base_loop(loop_.raw(), EVLOOP_NONBLOCK);
  char byte;
  return recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1 && errno == EAGAIN;
}

FakeServer::FakeServer(Loop& loop, Kind kind, int backlog) : loop_(loop) {
  if (kind == Kind::unix) {
    auto* raw = reinterpret_cast<sockaddr_un*>(&address_.raw);
    std::string path = dir_.path() + "/fcgi.sock";
    raw->sun_family = AF_UNIX;
    std::memcpy(raw->sun_path, path.c_str(), path.size() + 1);
    address_.raw_bytes = sizeof *raw;
    address_.text = "unix:" + path;
  } else {
    auto* raw = reinterpret_cast<sockaddr_in*>(&address_.raw);
    raw->sin_family = AF_INET;
    raw->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_.raw_bytes = sizeof *raw;
    address_.text = "127.0.0.1";
  }
  start(backlog);
}

void FakeServer::start(int backlog) {
  int on = 1;
  fd_.reset(socket(address_.raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* raw = reinterpret_cast<sockaddr*>(&address_.raw);
  HF_CHECK(bind(fd_.get(), raw, address_.raw_bytes) == 0);
  HF_CHECK(listen(fd_.get(), backlog) == 0);
  HF_CHECK(getsockname(fd_.get(), raw, &address_.raw_bytes) == 0);
}

void FakeServer::stop() {
  fd_.reset();
  if (address_.raw.ss_family == AF_UNIX) {
    unlink(reinterpret_cast<sockaddr_un*>(&address_.raw)->sun_path);
  }
}

FakeConnection FakeServer::accept() {
  UniqueFd fd;
  turn_until(loop_, [&] {
    fd.reset(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return bool(fd);
  });
  EXPECT_TRUE(fd) << "the pool did not connect";
  return {loop_, std::move(fd)};
}

FakeConnection FakeServer::accept_behind_its_back() {
  pollfd state{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&state, 1, int(timeout_ms())), 1);
  return {loop_, UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

bool FakeServer::nobody_waits() {
  event_base_loop(loop_.raw(), EVLOOP_NONBLOCK);
  pollfd state{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return poll(&state, 1, 0) == 0;
}

}  // namespace holdfast::fcgi
