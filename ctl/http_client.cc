#include "ctl/http_client.h"

#include <fmt/format.h>

#include "ctl/unix_socket.h"
#include "wire/http/request.h"
#include "wire/http/request_writer.h"

namespace holdfast::ctl {
namespace {

Error unreadable(std::string_view why) {
  return {Errc::bad_input, 0, fmt::format("the answer is not one of the API: {}", why)};
}

constexpr http::ResponseLimits kLimits{.max_head_bytes = 64 * 1024, .max_body = kMaxAnswerBytes};

}  // namespace

std::string make_request(std::string_view path, std::string_view json_body, KeepAlive keep) {
  std::string extra = http::header_line("User-Agent", "holdfastctl/" HOLDFAST_VERSION);
  if (keep == KeepAlive::no) extra += "Connection: close\r\n";
  return http::make_request({.method = json_body.empty() ? "GET" : "POST",
                             .target = path,
                             .host = "localhost",
                             .content_type = json_body.empty() ? "" : "application/json",
                             .extra_headers = extra},
                            json_body);
}

AnswerReader::AnswerReader() : reader_(kLimits) {}

Result<bool> AnswerReader::feed(std::string_view bytes) {
  size_t consumed = 0;
  return judge(reader_.feed(bytes, &consumed));
}

Result<bool> AnswerReader::end() {
  return judge(reader_.end());
}

Result<bool> AnswerReader::judge(http::ResponseReader::Status status) const {
  if (status == http::ResponseReader::Status::failed) return unreadable(reader_.error_text());
  if (reader_.has_head() && this->status() < 200) return unreadable("bad status");
  return status == http::ResponseReader::Status::complete;
}

Result<HttpAnswer> call_api(const std::string& socket_path, std::string_view path,
                            std::string_view json_body, uint64_t timeout_ms) {
  Deadline deadline(timeout_ms);
  Result<UnixSocket> socket = UnixSocket::connect(socket_path, deadline);
  if (!socket) return socket.error();
  // A server that refuses a body by its head may answer and close before it has read it all: look
  // for the answer.
  Result<void> written = socket->write(make_request(path, json_body), deadline);
  if (!written && written.error().code != Errc::gone) return written.error();
  AnswerReader reader;
  for (;;) {
    std::string bytes;
    Result<bool> more = socket->read(bytes, deadline);
    if (!more) return more.error();
    Result<bool> whole = *more ? reader.feed(bytes) : reader.end();
    if (!whole) return whole.error();
    if (*whole) return reader.answer();
  }
}

Fetch fetch_from(const std::string& socket_path, uint64_t timeout_ms) {
  return [socket_path, timeout_ms](const std::string& path) {
    return call_api(socket_path, path, "", timeout_ms);
  };
}

}  // namespace holdfast::ctl
