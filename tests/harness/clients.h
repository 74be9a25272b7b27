// tests/harness/clients.h - plain blocking clients, written apart from the server's own codecs.
//
// Every wait is bounded by timeout_ms(); a wait that runs out throws Timeout, which fails the test.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace holdfast::test {

struct Timeout : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "127.0.0.1:80", "[::1]:80" or "unix:/path".
UniqueFd connect_to(const std::string& address);

class Stream {
 public:
  explicit Stream(const std::string& address) : fd_(connect_to(address)) {}
  Stream(Stream&&) = default;
  void write(std::string_view bytes);
  // At least one more byte into buffer(); false at end of file or reset.
  bool read_more();
  // Same, but false also when nothing comes for `ms`.
  bool read_more_within(int ms, bool* ended);
  std::string& buffer() { return buffer_; }
  std::string read_exactly(size_t bytes);
  std::string read_until(std::string_view end);  // including it
  bool at_end();  // nothing more comes: end of file or reset (waits for it)
  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
  std::string buffer_;
};

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
  std::string header(std::string_view name) const;  // "" where absent
};

// Keeps its connection.
class HttpClient {
 public:
  explicit HttpClient(const std::string& address) : stream_(address) {}
  HttpAnswer request(std::string_view method, std::string_view target, std::string_view body = {},
                     std::string_view extra_headers = {});
  HttpAnswer post(std::string_view target, std::string_view json) {
    return request("POST", target, json);
  }
  HttpAnswer get(std::string_view target) { return request("GET", target); }
  void send_raw(std::string_view bytes) { stream_.write(bytes); }
  HttpAnswer read_answer(bool head_only = false);
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
};

struct WsFrame {
  uint8_t opcode = 0;  // 1 text, 2 binary, 8 close, 9 ping, 10 pong
  bool fin = true;
  std::string payload;
  bool deflated = false;  // RSV1
  uint16_t close_code() const;
};

struct WsOptions {
  std::string headers;  // complete lines
  std::string origin;
};

class WsClient {
 public:
  // Throws Refused with the answer where it is not 101.
  WsClient(const std::string& address, const std::string& target, const WsOptions& options = {});
  WsClient(WsClient&&) = default;

  const std::string& session() const { return session_; }  // "Holdfast-Session" of the 101
  const HttpAnswer& handshake() const { return handshake_; }
  void send_text(std::string_view text) { send_frame(1, text); }
  void send_binary(std::string_view bytes) { send_frame(2, bytes); }
  // 0x41 and 0x42: with RSV1, deflated.
  void send_frame(uint8_t opcode, std::string_view payload, bool fin = true);
  void send_raw(std::string_view bytes) { stream_.write(bytes); }
  // The next frame; pings are answered and left out. Empty: the connection ended.
  std::optional<WsFrame> next_frame();
  std::string next_text();  // the next data frame's payload; throws where it is something else
  // The close code that ends the connection: 1005 without one, 1006 without a close frame. Data frames before it are
  // left out.
  uint16_t wait_close();
  // Is there no data frame within `ms`? For "and nobody else got it", after a marker that must have come later.
  bool silent(int ms);
  void close(uint16_t code = 1000);
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
  HttpAnswer handshake_;
  std::string session_;
};

struct Refused : std::runtime_error {
  explicit Refused(HttpAnswer a) : std::runtime_error("refused: " + a.head), answer(std::move(a)) {}
  HttpAnswer answer;
};

// A 4-byte big-endian length, then the message.
class LengthClient {
 public:
  explicit LengthClient(const std::string& address) : stream_(address) {}
  void send(std::string_view message);
  std::string next();
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
};

}  // namespace holdfast::test
