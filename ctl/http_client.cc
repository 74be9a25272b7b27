#include "ctl/http_client.h"

#include <fmt/format.h>
#include <strings.h>

#include <charconv>

#include "ctl/unix_socket.h"

namespace holdfast::ctl {
namespace {

constexpr size_t kMaxHeadBytes = 64 * 1024;

Error unreadable(std::string_view why) {
  return {Errc::bad_input, 0, fmt::format("the answer is not one of the API: {}", why)};
}

bool read_number(std::string_view text, size_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end == text.data() + text.size();
}

// "HTTP/1.1 200 OK" -> 200; 0 for anything else.
int status_of(std::string_view line) {
  size_t status = 0;
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return 0;
  if (!read_number(line.substr(9, 3), &status) || status < 200 || status > 599) return 0;
  return int(status);
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

struct Head {
  int status = 0;
  std::optional<size_t> content_length;
};

Result<Head> parse_head(std::string_view head) {
  Head parsed;
  parsed.status = status_of(head.substr(0, head.find("\r\n")));
  if (parsed.status == 0) return unreadable("bad status line");
  size_t at = head.find("\r\n");
  while (at != std::string_view::npos) {
    size_t next = head.find("\r\n", at + 2);
    std::string_view line =
        head.substr(at + 2, next == std::string_view::npos ? next : next - at - 2);
    at = next;
    size_t colon = line.find(':');
    std::string_view name = line.substr(0, colon);
    if (same_name(name, "Transfer-Encoding")) return unreadable("transfer encoding");
    if (colon == std::string_view::npos || !same_name(name, "Content-Length")) continue;
    size_t length = 0;
    if (!read_number(trimmed(line.substr(colon + 1)), &length)) return unreadable("bad length");
    parsed.content_length = length;
  }
  return parsed;
}

}  // namespace

std::string make_request(std::string_view path, std::string_view json_body) {
  std::string out = fmt::format(
      "{} {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: holdfastctl/{}\r\nConnection: close\r\n",
      json_body.empty() ? "GET" : "POST", path, HOLDFAST_VERSION);
  if (!json_body.empty())
    out +=
        fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", json_body.size());
  out += "\r\n";
  out += json_body;
  return out;
}

Result<std::optional<HttpAnswer>> parse_answer(std::string_view bytes, bool at_end) {
  size_t head_bytes = bytes.find("\r\n\r\n");
  if (head_bytes == std::string_view::npos) {
    if (at_end) return unreadable("it ended early");
    if (bytes.size() > kMaxHeadBytes) return unreadable("too long a head");
    return std::optional<HttpAnswer>{};
  }
  Result<Head> head = parse_head(bytes.substr(0, head_bytes));
  if (!head) return head.error();
  std::string_view body = bytes.substr(head_bytes + 4);
  size_t length = head->content_length.value_or(body.size());
  if (length > kMaxAnswerBytes) return unreadable("too long");
  bool whole = head->content_length ? body.size() >= length : at_end;
  if (!whole && at_end) return unreadable("it ended early");
  if (!whole) return std::optional<HttpAnswer>{};
  return std::optional(HttpAnswer{head->status, std::string(body.substr(0, length))});
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
  std::string bytes;
  for (;;) {
    Result<bool> more = socket->read(bytes, deadline);
    if (!more) return more.error();
    Result<std::optional<HttpAnswer>> answer = parse_answer(bytes, !*more);
    if (!answer) return answer.error();
    if (*answer) return std::move(**answer);
    if (bytes.size() > kMaxAnswerBytes + kMaxHeadBytes) return unreadable("too long");
  }
}

}  // namespace holdfast::ctl
