// bench/load/api_client.h - one connection to the push API, HTTP or RESP, with several requests on
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
#include "bench/load/options.h"
#include "conf/config.h"
#include "wire/resp/reply_reader.h"

namespace holdfast::bench {

struct ApiAnswer {
  bool readable = false;  // an answer of the protocol at all
  std::string trouble;    // the status or error, where it is none that we want
  uint64_t delivered = 0;
  bool whole = false;      // nothing unknown, failed or partial in it
  uint64_t waited_ns = 0;  // since the request was queued
};

class ApiClient {
 public:
  static Result<ApiClient> open(const Options& options);

  // `payload` needs no escaping, neither does `to`: a channel, or a session's id.
  void queue_publish(std::string_view to, std::string_view payload, uint64_t now_ns);
  void queue_send(std::string_view to, std::string_view payload, uint64_t now_ns);
  size_t outstanding() const { return waiting_.size(); }
  int fd() const { return fd_.get(); }
  bool wants_to_write() const { return written_ < out_.size(); }
  Result<void> write();
  // Reads once; take() then gives the answers that are whole. Errc::gone: the server closed.
  Result<void> read();
  Result<std::optional<ApiAnswer>> take(uint64_t now_ns);

 private:
  ApiClient(UniqueFd fd, const Options& options);
  void queue_http(std::string_view path, std::string_view list, std::string_view to,
                  std::string_view payload);
  size_t read_answer(std::string_view bytes, ApiAnswer* answer);
  Result<bool> take_auth();

  UniqueFd fd_;
  PushProtocol protocol_;
  bool sends_ = false;       // to sessions: each request is for one
  bool auth_waits_ = false;  // the next answer is AUTH's
  std::string head_;         // HTTP: all of a request's head but path and length
  std::string out_;
  size_t written_ = 0;
  std::string in_;
  size_t taken_ = 0;
  resp::ReplyReader replies_;     // RESP: where it is in in_ behind taken_
  std::deque<uint64_t> waiting_;  // when each was queued
};

// The answer at the start of `bytes` and how many bytes it has; 0: not whole yet.
size_t read_http_answer(std::string_view bytes, ApiAnswer* answer);
// `reader`: of the connection; it is left at the beginning of the next answer. `to_one`: it is for HF.SEND, which must have reached its session.
size_t read_resp_answer(resp::ReplyReader& reader, std::string_view bytes, bool to_one,
                        ApiAnswer* answer);

}  // namespace holdfast::bench
