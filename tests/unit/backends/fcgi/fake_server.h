// tests/unit/backends/fcgi/fake_server.h - a FastCGI server that does what a test says, step by step, in the
// test's own thread.
//
// Every wait turns the loop meanwhile and is bounded by HF_TEST_TIMEOUT_MS (default 5,000). It
// reads requests with a parser of its own, so that it does not share mistakes with
// worker/backends/fcgi/codec.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "conf/config.h"

namespace holdfast::fcgi {

// Turns `loop` without waiting in it until `done` is true; false when time is up.
bool turn_until(Loop& loop, const std::function<bool()>& done);

// A fresh directory, gone with its files at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string record(int type, std::string_view content, size_t padding = 0, int id = 1);
std::string stdout_record(std::string_view content);
std::string stderr_record(std::string_view content);
std::string end_record(uint32_t app_status = 0, int protocol_status = 0);
// A whole answer with a header and `body`.
std::string answer(std::string_view body, std::string_view header = "Content-Type: text/plain\r\n");

struct ReceivedRequest {
  bool keep = false;
  std::map<std::string, std::string> params;
  std::string body;
};

// The server's side of one connection.
class FakeConnection {
 public:
  FakeConnection(Loop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  // The next whole request.
  ReceivedRequest read_request();
  // Reads until `bytes` have come, and no more.
  void read_bytes(size_t bytes);
  void write(std::string_view bytes);
  void close() { fd_.reset(); }
  void reset();                   // TCP
  void end_output();              // shutdown(2) of what we write
  bool ended();                   // waits until the other side has closed
  bool ended_now();               // it has
  void forget() { in_.clear(); }  // what read_bytes() has read
  bool silent();                  // nothing has come
  bool open() const { return bool(fd_); }

 private:
  Loop& loop_;
  UniqueFd fd_;
  std::string in_;
};

class FakeServer {
 public:
  enum class Kind { unix, tcp };
  FakeServer(Loop& loop, Kind kind, int backlog = 64);
  FakeConnection accept();
  // The same, but the loop stands still meanwhile.
  FakeConnection accept_behind_its_back();
  bool nobody_waits();
  // No longer listens; a unix socket's file is gone.
  void stop();
  // Listens again at the same address.
  void start(int backlog = 64);
  const conf::Address& address() const { return address_; }

 private:
  Loop& loop_;
  TempDir dir_;
  conf::Address address_;
  UniqueFd fd_;
};

}  // namespace holdfast::fcgi
