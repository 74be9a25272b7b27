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
#include "wire/resp/number.h"
#include "wire/resp/request_writer.h"

namespace holdfast::bench {
namespace {

constexpr size_t kMaxAnswerBytes = 16 * 1024 * 1024;

bool read_number(std::string_view text, uint64_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end != text.data();
}

// Our API writes compact JSON, and names and messages of ours hold nothing that looks like a key; nchan writes lines.
uint64_t delivered_of(std::string_view body) {
  for (std::string_view key : {"\"delivered\":", "active subscribers: "}) {
    size_t at = body.find(key);
    uint64_t delivered = 0;
    if (at != std::string_view::npos && read_number(body.substr(at + key.size()), &delivered))
      return delivered;
  }
  return 0;
}

bool nothing_left_out(std::string_view body) {
  for (std::string_view trouble :
       {"\"unknown\":[\"", "\"failed\":[\"", "\"workers_failed\":", "\"partial\":true"})
    if (body.find(trouble) != std::string_view::npos) return false;
  return true;
}

// An integer, which nearly every answer is: without the steps of a reply that may be anything.
size_t read_count(std::string_view bytes, bool to_one, ApiAnswer* answer) {
  size_t at = 1;
  int64_t number = 0;
  resp::NumberRead read = resp::read_number(bytes, &at, &number);
  if (read == resp::NumberRead::need_more) return 0;
  answer->readable = read == resp::NumberRead::whole;
  if (!answer->readable) return 1;
  bool counted = number >= 0;
  answer->delivered = counted ? uint64_t(number) : 0;
  answer->whole = counted && (!to_one || number == 1);
  if (!answer->whole) answer->trouble = counted ? "no such session" : "a negative number";
  return at;
}

}  // namespace

size_t read_http_answer(std::string_view bytes, ApiAnswer* answer) {
  size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  std::string_view head = bytes.substr(0, end);
  uint64_t length = 0;
  int status = status_of_head(head);
  answer->readable = status != 0 && read_number(field_of_head(head, "Content-Length"), &length) &&
                     length <= kMaxAnswerBytes;
  if (!answer->readable) return end + 4;
  if (bytes.size() < end + 4 + length) return 0;
  std::string_view body = bytes.substr(end + 4, length);
  answer->delivered = delivered_of(body);
  answer->whole = status / 100 == 2 && nothing_left_out(body);
  if (!answer->whole) answer->trouble = fmt::format("status {}", status);
  return end + 4 + length;
}

size_t read_resp_answer(resp::ReplyReader& reader, std::string_view bytes, bool to_one,
                        ApiAnswer* answer) {
  if (bytes.starts_with(':')) return read_count(bytes, to_one, answer);
  using Status = resp::ReplyReader::Status;
  Status status = reader.read(bytes);
  if (status == Status::need_more) return 0;
  answer->readable = status == Status::complete && reader.elements().size() == 1;
  if (!answer->readable) return 1;
  size_t used = reader.used();
  answer->delivered = 0;
  answer->whole = false;
  answer->trouble = reader.elements()[0].text;
  reader.next();
  return used;
}

ApiClient::ApiClient(UniqueFd fd, const Options& options)
    : fd_(std::move(fd)), protocol_(options.push_protocol) {
  if (protocol_ == PushProtocol::resp) {
    auth_waits_ = !options.token.empty();
    if (auth_waits_) resp::append_request(out_, {"AUTH", options.token});
    return;
  }
  head_ = fmt::format("Host: {}\r\nContent-Type: application/json\r\n",
                      options.api->is_unix() ? "localhost" : options.api->text);
  if (!options.token.empty()) head_ += "Authorization: Bearer " + options.token + "\r\n";
}

Result<ApiClient> ApiClient::open(const Options& options) {
  const conf::Address& address = *options.api;
  UniqueFd fd(socket(address.raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error{Errc::io, errno, "socket"};
  int on = 1;
  if (!address.is_unix()) setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.raw), address.raw_bytes) != 0)
    return Error{Errc::gone, errno, "connect to the API at " + address.text};
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return Error{Errc::io, errno, "fcntl"};
  return ApiClient(std::move(fd), options);
}

void ApiClient::queue_http(std::string_view path, std::string_view list, std::string_view to,
                           std::string_view payload) {
  size_t bytes =
      list.size() + to.size() + payload.size() + std::string_view(R"({"":[""],"data":""})").size();
  fmt::format_to(
      std::back_inserter(out_),
      "POST {} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{{\"{}\":[\"{}\"],\"data\":\"{}\"}}", path,
      head_, bytes, list, to, payload);
}

void ApiClient::queue_publish(std::string_view to, std::string_view payload, uint64_t now_ns) {
  switch (protocol_) {
    case PushProtocol::resp:
      resp::append_request(out_, {"PUBLISH", to, payload});
      break;
    case PushProtocol::http:
      queue_http("/v1/publish", "channels", to, payload);
      break;
    case PushProtocol::nchan:
      fmt::format_to(std::back_inserter(out_),
                     "POST /pub?id={} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}", to, head_,
                     payload.size(), payload);
      break;
  }
  waiting_.push_back(now_ns);
}

void ApiClient::queue_send(std::string_view to, std::string_view payload, uint64_t now_ns) {
  sends_ = true;
  if (protocol_ == PushProtocol::resp) {
    resp::append_request(out_, {"HF.SEND", to, payload});
  } else {
    queue_http("/v1/send", "sessions", to, payload);
  }
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

size_t ApiClient::read_answer(std::string_view bytes, ApiAnswer* answer) {
  return protocol_ == PushProtocol::resp ? read_resp_answer(replies_, bytes, sends_, answer)
                                         : read_http_answer(bytes, answer);
}

// False: it has not come.
Result<bool> ApiClient::take_auth() {
  using Status = resp::ReplyReader::Status;
  Status status = replies_.read(std::string_view(in_).substr(taken_));
  if (status == Status::need_more) return false;
  bool refused = status == Status::error || replies_.elements()[0].kind == resp::ReplyKind::error;
  if (refused)
    return Error{Errc::bad_input, 0,
                 "AUTH was answered with: " + std::string(status == Status::error
                                                              ? replies_.error_text()
                                                              : replies_.elements()[0].text)};
  auth_waits_ = false;
  taken_ += replies_.used();
  replies_.next();
  return true;
}

Result<std::optional<ApiAnswer>> ApiClient::take(uint64_t now_ns) {
  if (auth_waits_) {
    Result<bool> taken = take_auth();
    if (!taken) return taken.error();
    if (!*taken) return std::optional<ApiAnswer>{};
  }
  ApiAnswer answer;
  size_t bytes = read_answer(std::string_view(in_).substr(taken_), &answer);
  if (bytes == 0) return std::optional<ApiAnswer>{};
  if (!answer.readable || waiting_.empty())
    return Error{Errc::bad_input, 0, "the API's answer is not one"};
  taken_ += bytes;
  answer.waited_ns = now_ns - waiting_.front();
  waiting_.pop_front();
  return std::optional(answer);
}

}  // namespace holdfast::bench
