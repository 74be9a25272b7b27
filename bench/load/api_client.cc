#include "bench/load/api_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <iterator>

#include "bench/load/http_head.h"

namespace holdfast::bench {
namespace {

constexpr size_t kMaxAnswerBytes = 16 * 1024 * 1024;

bool read_number(std::string_view text, uint64_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end != text.data();
}

// Our API writes compact JSON, and names and messages of ours hold nothing that looks like a key.
uint64_t delivered_of(std::string_view body) {
  constexpr std::string_view kKey = "\"delivered\":";
  size_t at = body.find(kKey);
  uint64_t delivered = 0;
  if (at == std::string_view::npos || !read_number(body.substr(at + kKey.size()), &delivered))
    return 0;
  return delivered;
}

bool nothing_left_out(std::string_view body) {
  for (std::string_view trouble :
       {"\"unknown\":[\"", "\"failed\":[\"", "\"workers_failed\":", "\"partial\":true"})
    if (body.find(trouble) != std::string_view::npos) return false;
  return true;
}

}  // namespace

size_t read_api_answer(std::string_view bytes, ApiAnswer* answer) {
  size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  std::string_view head = bytes.substr(0, end);
  uint64_t length = 0;
  answer->status = status_of_head(head);
  bool sane =
      read_number(field_of_head(head, "Content-Length"), &length) && length <= kMaxAnswerBytes;
  if (!sane) answer->status = 0;
  if (answer->status == 0) return end + 4;
  if (bytes.size() < end + 4 + length) return 0;
  std::string_view body = bytes.substr(end + 4, length);
  answer->delivered = delivered_of(body);
  answer->whole = answer->status == 200 && nothing_left_out(body);
  return end + 4 + length;
}

Result<ApiClient> ApiClient::open(const conf::Address& address, const std::string& token) {
  UniqueFd fd(socket(address.raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error{Errc::io, errno, "socket"};
  int on = 1;
  if (!address.is_unix()) setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.raw), address.raw_bytes) != 0)
    return Error{Errc::gone, errno, "connect to the API at " + address.text};
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return Error{Errc::io, errno, "fcntl"};
  ApiClient client(std::move(fd));
  client.head_ = fmt::format("Host: {}\r\nContent-Type: application/json\r\n",
                             address.is_unix() ? "localhost" : address.text);
  if (!token.empty()) client.head_ += "Authorization: Bearer " + token + "\r\n";
  return client;
}

void ApiClient::queue(std::string_view path, std::string_view json_body, uint64_t now_ns) {
  fmt::format_to(std::back_inserter(out_), "POST {} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}",
                 path, head_, json_body.size(), json_body);
  waiting_.push_back(now_ns);
}

Result<void> ApiClient::write() {
  while (wants_to_write()) {
    ssize_t sent = send(fd_.get(), out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
    if (sent == -1 && errno == EAGAIN) return {};
    if (sent == -1 && errno != EINTR) return Error{Errc::gone, errno, "write to the API"};
    if (sent > 0) written_ += size_t(sent);
  }
  out_.clear();
  written_ = 0;
  return {};
}

Result<void> ApiClient::read() {
  in_.erase(0, taken_);
  taken_ = 0;
  char chunk[64 * 1024];
  ssize_t got = recv(fd_.get(), chunk, sizeof chunk, 0);
  if (got == 0) return Error{Errc::gone, 0, "the API closed the connection"};
  if (got == -1 && errno != EAGAIN && errno != EINTR)
    return Error{Errc::gone, errno, "read from the API"};
  if (got > 0) in_.append(chunk, size_t(got));
  return {};
}

Result<std::optional<ApiAnswer>> ApiClient::take(uint64_t now_ns) {
  ApiAnswer answer;
  size_t bytes = read_api_answer(std::string_view(in_).substr(taken_), &answer);
  if (bytes == 0) return std::optional<ApiAnswer>{};
  if (answer.status == 0 || waiting_.empty())
    return Error{Errc::bad_input, 0, "the API's answer is not one"};
  taken_ += bytes;
  answer.waited_ns = now_ns - waiting_.front();
  waiting_.pop_front();
  return std::optional(answer);
}

}  // namespace holdfast::bench
