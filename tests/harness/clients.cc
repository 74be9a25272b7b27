#include "tests/harness/clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "conf/config.h"
#include "tests/harness/wait.h"

namespace holdfast::test {

UniqueFd connect_to(const std::string& address) {
  auto parsed = conf::parse_address(address);
  if (!parsed) throw std::runtime_error("no address: " + address);
  UniqueFd fd(socket(parsed->raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&parsed->raw), parsed->raw_bytes) != 0)
    throw std::runtime_error("connect " + address + ": " + std::strerror(errno));
  if (!parsed->is_unix()) {
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

void Stream::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == -1 && errno == EINTR) continue;
    if (sent == -1) throw std::runtime_error(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(size_t(sent));
  }
}

bool Stream::read_more_within(int ms, bool* ended) {
  *ended = false;
  pollfd wait{fd_.get(), POLLIN, 0};
  if (poll(&wait, 1, ms) != 1) return false;
  char bytes[65536];
  ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
  if (got <= 0) {
    *ended = true;
    return false;
  }
  buffer_.append(bytes, size_t(got));
  return true;
}

bool Stream::read_more() {
  bool ended = false;
  if (read_more_within(timeout_ms(), &ended)) return true;
  if (!ended) throw Timeout("nothing came");
  return false;
}

std::string Stream::read_exactly(size_t bytes) {
  while (buffer_.size() < bytes)
    if (!read_more()) throw std::runtime_error("ended too early");
  std::string out = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return out;
}

std::string Stream::read_until(std::string_view end) {
  size_t at;
  while ((at = buffer_.find(end)) == std::string::npos)
    if (!read_more()) throw std::runtime_error("ended too early after: " + buffer_);
  std::string out = buffer_.substr(0, at + end.size());
  buffer_.erase(0, out.size());
  return out;
}

bool Stream::at_end() {
  while (read_more()) buffer_.clear();
  return true;
}

std::string HttpAnswer::header(std::string_view name) const {
  size_t line = head.find("\r\n");
  while (line != std::string::npos && line + 2 < head.size()) {
    size_t start = line + 2;
    line = head.find("\r\n", start);
    std::string_view text = std::string_view(head).substr(start, line - start);
    size_t colon = text.find(':');
    if (colon == name.size() && strncasecmp(text.data(), name.data(), colon) == 0) {
      text.remove_prefix(colon + 1);
      while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
      return std::string(text);
    }
  }
  return {};
}

HttpAnswer HttpClient::request(std::string_view method, std::string_view target,
                               std::string_view body, std::string_view extra_headers) {
  std::string text;
  text.append(method)
      .append(" ")
      .append(target)
      .append(" HTTP/1.1\r\nHost: localhost\r\n")
      .append(extra_headers);
  if (!body.empty() || method == "POST")
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text.append("\r\n").append(body);
  stream_.write(text);
  return read_answer(method == "HEAD");
}

HttpAnswer HttpClient::read_answer(bool head_only) {
  HttpAnswer answer;
  answer.head = stream_.read_until("\r\n\r\n");
  if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
  std::string length = answer.header("Content-Length");
  if (!length.empty() && !head_only) answer.body = stream_.read_exactly(std::stoul(length));
  return answer;
}

uint16_t WsFrame::close_code() const {
  return payload.size() >= 2 ? load_be16(payload.data()) : uint16_t(1005);
}

WsClient::WsClient(const std::string& address, const std::string& target, const WsOptions& options)
    : stream_(address) {
  std::string text = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                     "Sec-WebSocket-Version: 13\r\n" + options.headers;
  if (!options.origin.empty()) text += "Origin: " + options.origin + "\r\n";
  stream_.write(text + "\r\n");
  handshake_.head = stream_.read_until("\r\n\r\n");
  handshake_.status = std::atoi(handshake_.head.c_str() + 9);
  if (handshake_.status != 101) {
    std::string length = handshake_.header("Content-Length");
    if (!length.empty()) handshake_.body = stream_.read_exactly(std::stoul(length));
    throw Refused(handshake_);
  }
  if (handshake_.header("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    throw std::runtime_error("wrong Sec-WebSocket-Accept");
  session_ = handshake_.header("Holdfast-Session");
}

void WsClient::send_frame(uint8_t opcode, std::string_view payload, bool fin) {
  std::string frame;
  frame += char((fin ? 0x80 : 0) | opcode);
  char length[8];
  if (payload.size() < 126) {
    frame += char(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    frame += char(0x80 | 126);
    store_be16(length, uint16_t(payload.size()));
    frame.append(length, 2);
  } else {
    frame += char(0x80 | 127);
    store_be64(length, payload.size());
    frame.append(length, 8);
  }
  const char mask[4] = {0x12, 0x34, 0x56, 0x78};
  frame.append(mask, 4);
  for (size_t i = 0; i < payload.size(); ++i) frame += char(payload[i] ^ mask[i % 4]);
  stream_.write(frame);
}

std::optional<WsFrame> WsClient::next_frame() {
  for (;;) {
    std::string& in = stream_.buffer();
    auto have = [&](size_t n) {
      while (in.size() < n)
        if (!stream_.read_more()) return false;
      return true;
    };
    if (!have(2)) return {};
    auto second = uint8_t(in[1]);
    if ((second & 0x80) != 0) throw std::runtime_error("a server must not mask");
    size_t head = 2, size = second;
    if (second == 126) head = 4;
    if (second == 127) head = 10;
    if (!have(head)) return {};
    if (second == 126) size = load_be16(in.data() + 2);
    if (second == 127) size = size_t(load_be64(in.data() + 2));
    if (!have(head + size)) return {};
    WsFrame frame{uint8_t(in[0] & 0x0f), (in[0] & 0x80) != 0, in.substr(head, size),
                  (in[0] & 0x40) != 0};
    in.erase(0, head + size);
    if (frame.opcode != 9) return frame;
    send_frame(10, frame.payload);
  }
}

std::string WsClient::next_text() {
  std::optional<WsFrame> frame = next_frame();
  if (!frame) throw std::runtime_error("connection ended, a message was expected");
  if (frame->opcode == 8)
    throw std::runtime_error("closed with " + std::to_string(frame->close_code()) +
                             ", a message was expected");
  return frame->payload;
}

uint16_t WsClient::wait_close() {
  while (std::optional<WsFrame> frame = next_frame())
    if (frame->opcode == 8) return frame->close_code();
  return 1006;
}

bool WsClient::silent(int ms) {
  bool ended = false;
  return stream_.buffer().empty() && !stream_.read_more_within(ms, &ended);
}

void WsClient::close(uint16_t code) {
  char payload[2];
  store_be16(payload, code);
  send_frame(8, {payload, 2});
}

void LengthClient::send(std::string_view message) {
  char length[4];
  store_be32(length, uint32_t(message.size()));
  stream_.write(std::string(length, 4) + std::string(message));
}

std::string LengthClient::next() {
  std::string length = stream_.read_exactly(4);
  return stream_.read_exactly(load_be32(length.data()));
}

}  // namespace holdfast::test
