// ctl/http_client.h - one HTTP/1.1 request to the instance's own API socket, and its answer.
//
// Blocking and bounded: the whole exchange ends by the deadline, an answer is at most
// kMaxAnswerBytes. One request a connection (`Connection: close`). Not a general client: it speaks
// to worker/api only and refuses what that never sends (chunked bodies, interim answers).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxAnswerBytes = 32 * 1024 * 1024;
inline constexpr uint64_t kApiTimeoutMs = 10'000;

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// A POST if there is a body, else a GET.
std::string make_request(std::string_view path, std::string_view json_body);
// What `bytes` amount to: an answer, nothing yet, or Errc::bad_input. `at_end`: no more bytes will
// come.
Result<std::optional<HttpAnswer>> parse_answer(std::string_view bytes, bool at_end);

Result<HttpAnswer> call_api(const std::string& socket_path, std::string_view path,
                            std::string_view json_body, uint64_t timeout_ms = kApiTimeoutMs);

}  // namespace holdfast::ctl
