#include "ctl/http_client.h"

#include <fmt/format.h>
#include <strings.h>

#include <charconv>

#include "ctl/unix_socket.h"

namespace holdfast::ctl {
namespace {

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

// One header line into `head`; "" or what is wrong.
std::string_view read_header(std::string_view line, HttpHead& head) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "bad header";
  std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
  if (same_name(name, "Transfer-Encoding")) {
    head.chunked = same_name(value, "chunked");
    return head.chunked ? "" : "transfer encoding";
  }
  if (!same_name(name, "Content-Length")) return "";
  size_t length = 0;
  if (!read_number(value, &length)) return "bad length";
  head.content_length = length;
  return "";
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string make_request(std::string_view path, std::string_view json_body, KeepAlive keep) {
  std::string out =
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: holdfastctl/{}\r\n",
                  json_body.empty() ? "GET" : "POST", path, HOLDFAST_VERSION);
  if (keep == KeepAlive::no) out += "Connection: close\r\n";
  if (!json_body.empty())
    out +=
        fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", json_body.size());
  out += "\r\n";
  out += json_body;
  return out;
}

Result<std::optional<HttpHead>> parse_head(std::string_view bytes) {
  size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos && bytes.size() > kMaxHeadBytes)
    return unreadable("too long a head");
  if (end == std::string_view::npos) return std::optional<HttpHead>{};
  HttpHead head;
  head.bytes = end + 4;
  std::string_view lines = bytes.substr(0, end);
  head.status = status_of(lines.substr(0, lines.find("\r\n")));
  if (head.status == 0) return unreadable("bad status line");
  for (size_t at = lines.find("\r\n"); at != std::string_view::npos;) {
    size_t next = lines.find("\r\n", at + 2);
    size_t size = next == std::string_view::npos ? next : next - at - 2;
    std::string_view wrong = read_header(lines.substr(at + 2, size), head);
    if (!wrong.empty()) return unreadable(wrong);
    at = next;
  }
  return std::optional(head);
}

Result<std::optional<HttpAnswer>> parse_answer(std::string_view bytes, bool at_end) {
  Result<std::optional<HttpHead>> parsed = parse_head(bytes);
  if (!parsed) return parsed.error();
  if (!*parsed && at_end) return unreadable("it ended early");
  if (!*parsed) return std::optional<HttpAnswer>{};
  const HttpHead& head = **parsed;
  if (head.chunked) return unreadable("transfer encoding");
  std::string_view body = bytes.substr(head.bytes);
  size_t length = head.content_length.value_or(body.size());
  if (length > kMaxAnswerBytes) return unreadable("too long");
  bool whole = head.content_length ? body.size() >= length : at_end;
  if (!whole && at_end) return unreadable("it ended early");
  if (!whole) return std::optional<HttpAnswer>{};
  return std::optional(HttpAnswer{head.status, std::string(body.substr(0, length))});
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

Fetch fetch_from(const std::string& socket_path, uint64_t timeout_ms) {
  return [socket_path, timeout_ms](const std::string& path) {
    return call_api(socket_path, path, "", timeout_ms);
  };
}

}  // namespace holdfast::ctl
