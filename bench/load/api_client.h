// bench/load/api_client.h - one keep-alive connection to the push API, with several requests on
// their way at once.
//
// Requests are pipelined; answers come in the same order, so the oldest waiting request owns the
// next answer.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "conf/config.h"

namespace holdfast::bench {

struct ApiAnswer {
  int status = 0;
  uint64_t delivered = 0;
  bool whole = false;      // nothing unknown, failed or partial in it
  uint64_t waited_ns = 0;  // since the request was queued
};

class ApiClient {
 public:
  static Result<ApiClient> open(const conf::Address& address, const std::string& token);

  void queue(std::string_view path, std::string_view json_body, uint64_t now_ns);
  size_t outstanding() const { return waiting_.size(); }
  int fd() const { return fd_.get(); }
  bool wants_to_write() const { return written_ < out_.size(); }
  Result<void> write();
  // Reads once; take() then gives the answers that are whole. Errc::gone: the server closed.
  Result<void> read();
  Result<std::optional<ApiAnswer>> take(uint64_t now_ns);

 private:
  explicit ApiClient(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::string head_;  // all of a request's head but path and length
  std::string out_;
  size_t written_ = 0;
  std::string in_;
  size_t taken_ = 0;
  std::deque<uint64_t> waiting_;  // when each was queued
};

// The answer at the start of `bytes` and how many bytes it has; 0: not whole yet. status 0: not
// HTTP.
size_t read_api_answer(std::string_view bytes, ApiAnswer* answer);

}  // namespace holdfast::bench
