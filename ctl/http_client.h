// ctl/http_client.h - HTTP/1.1 with the instance's own API socket: one request, one answer.
//
// Blocking and bounded: the whole exchange ends by the deadline, an answer is at most
// kMaxAnswerBytes. One request a connection (`Connection: close`). Not a general client: it speaks
// to worker/api only. The answer of a trace, which has no end, is read by trace.cc with the parts of this file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/http/response_reader.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxAnswerBytes = 32 * 1024 * 1024;
inline constexpr uint64_t kApiTimeoutMs = 10'000;

struct HttpAnswer {
  int status = 0;
  std::string body;
};

enum class KeepAlive : uint8_t { no, yes };

// A POST if there is a body, else a GET.
std::string make_request(std::string_view path, std::string_view json_body,
                         KeepAlive keep = KeepAlive::no);

// One answer from bytes, in any pieces; what follows it is passed over.
class AnswerReader {
 public:
  AnswerReader();
  // True: the answer is whole. Errc::bad_input: no answer of the API; nothing can be read after that.
  Result<bool> feed(std::string_view bytes);
  // No more bytes will come.
  Result<bool> end();

  // 0 until the head is there.
  int status() const { return reader_.has_head() ? reader_.response().head.status : 0; }
  bool in_chunks() const {
    return reader_.response().head.body == http::ResponseHead::Body::chunks;
  }
  // What has come of the body, which is forgotten here.
  std::string take_body() { return reader_.take_body(); }
  HttpAnswer answer() { return {status(), take_body()}; }

 private:
  Result<bool> judge(http::ResponseReader::Status status) const;

  http::ResponseReader reader_;
};

Result<HttpAnswer> call_api(const std::string& socket_path, std::string_view path,
                            std::string_view json_body, uint64_t timeout_ms = kApiTimeoutMs);

// GET a path: the API of an instance, or a test's stand-in for it.
using Fetch = std::function<Result<HttpAnswer>(const std::string& path)>;
Fetch fetch_from(const std::string& socket_path, uint64_t timeout_ms = kApiTimeoutMs);

}  // namespace holdfast::ctl
