// ctl/http_client.h - HTTP/1.1 with the instance's own API socket: one request, one answer.
//
// Blocking and bounded: the whole exchange ends by the deadline, an answer is at most
// kMaxAnswerBytes. One request a connection (`Connection: close`). Not a general client: it speaks
// to worker/api only and refuses anything that this does not send. The one answer in chunks, of a trace, is
// read by trace.cc with the parts of this file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxAnswerBytes = 32 * 1024 * 1024;
inline constexpr size_t kMaxHeadBytes = 64 * 1024;
inline constexpr uint64_t kApiTimeoutMs = 10'000;

struct HttpAnswer {
  int status = 0;
  std::string body;
};

struct HttpHead {
  int status = 0;
  size_t bytes = 0;  // of the head, with the empty line
  std::optional<size_t> content_length;
  bool chunked = false;
};

enum class KeepAlive : uint8_t { no, yes };

// `text` in a path or a query.
std::string percent_encoded(std::string_view text);
// A POST if there is a body, else a GET.
std::string make_request(std::string_view path, std::string_view json_body,
                         KeepAlive keep = KeepAlive::no);
// The head of an answer that begins with `bytes`; nothing as long as it is not whole.
Result<std::optional<HttpHead>> parse_head(std::string_view bytes);
// The meaning of `bytes`: an answer, nothing yet, or Errc::bad_input. `at_end`: no more bytes will
// come.
Result<std::optional<HttpAnswer>> parse_answer(std::string_view bytes, bool at_end);

Result<HttpAnswer> call_api(const std::string& socket_path, std::string_view path,
                            std::string_view json_body, uint64_t timeout_ms = kApiTimeoutMs);

// GET a path: the API of an instance, or a test's stand-in for it.
using Fetch = std::function<Result<HttpAnswer>(const std::string& path)>;
Fetch fetch_from(const std::string& socket_path, uint64_t timeout_ms = kApiTimeoutMs);

}  // namespace holdfast::ctl
