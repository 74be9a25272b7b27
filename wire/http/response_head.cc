#include "wire/http/response_head.h"

#include <algorithm>
#include <charconv>

#include "wire/http/chars.h"

namespace holdfast::http {
namespace {

using Body = ResponseHead::Body;

// What the headers say about the body.
struct BodyWords {
  std::optional<uint64_t> length;
  bool chunked = false;
};

// Takes a line and its end off the front; false if there is no end.
bool take_line(std::string_view& bytes, std::string_view* line) {
  size_t end = bytes.find("\r\n");
  if (end == bytes.npos) return false;
  *line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return true;
}

HeaderView split(std::string_view line, size_t colon) {
  return {line.substr(0, colon), trimmed(line.substr(colon + 1))};
}

bool is_plain(std::string_view line) {
  return std::none_of(line.begin(), line.end(), is_control_char);
}

bool parse_status(std::string_view digits, int* status) {
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *status);
  return error == std::errc() && end == digits.data() + 3 && *status >= 100 && *status <= 599;
}

// "HTTP/1.1 200 OK"; the reason and the blank before it may be left out.
bool read_status_line(std::string_view line, ResponseHead* out) {
  constexpr size_t kShortest = 12;
  if (line.size() < kShortest || !line.starts_with("HTTP/1.")) return false;
  if ((line[7] != '0' && line[7] != '1') || line[8] != ' ') return false;
  if (line.size() > kShortest && line[kShortest] != ' ') return false;
  out->version_11 = line[7] == '1';
  return parse_status(line.substr(9, 3), &out->status) && is_plain(line);
}

std::string_view read_length(std::string_view value, BodyWords& words) {
  uint64_t length = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error != std::errc() || end != value.data() + value.size())
    return "malformed Content-Length";  // a list, a sign, no digit, too many
  if (words.length) return "more than one Content-Length";
  words.length = length;
  return {};
}

std::string_view read_coding(std::string_view value, BodyWords& words) {
  if (words.chunked) return "more than one Transfer-Encoding";
  words.chunked = true;
  return equal_ignoring_case(value, "chunked") ? "" : "unknown transfer coding";
}

std::string_view read_header(std::string_view line, BodyWords& words) {
  size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon)) || !is_plain(line))
    return "malformed header";
  HeaderView header = split(line, colon);
  if (equal_ignoring_case(header.name, "Content-Length")) return read_length(header.value, words);
  if (equal_ignoring_case(header.name, "Transfer-Encoding"))
    return read_coding(header.value, words);
  return {};
}

std::string_view plan_body(const BodyWords& words, ResponseHead* out) {
  if (words.chunked && words.length) return "Content-Length and Transfer-Encoding together";
  if (words.chunked && !out->version_11) return "Transfer-Encoding in HTTP/1.0";
  bool bodiless = out->status < 200 || out->status == 204 || out->status == 304;
  out->body = bodiless        ? Body::none
              : words.chunked ? Body::chunks
              : words.length  ? Body::length
                              : Body::to_the_end;
  if (out->body == Body::length) out->length = *words.length;
  return {};
}

}  // namespace

std::string_view read_response_head(std::string_view head, ResponseHead* out) {
  *out = {};
  std::string_view line;
  if (!take_line(head, &line) || !read_status_line(line, out)) return "malformed status line";
  BodyWords words;
  while (take_line(head, &line)) {
    if (line.empty()) return plan_body(words, out);
    if (std::string_view wrong = read_header(line, words); !wrong.empty()) return wrong;
  }
  return "no end of the head";
}

HeaderLines::HeaderLines(std::string_view head) : rest_(head) {
  std::string_view status_line;
  take_line(rest_, &status_line);
}

bool HeaderLines::next(HeaderView* header) {
  std::string_view line;
  if (!take_line(rest_, &line) || line.empty()) return false;
  size_t colon = line.find(':');
  if (colon == line.npos) return false;
  *header = split(line, colon);
  return true;
}

std::optional<std::string_view> header_of(std::string_view head, std::string_view name) {
  HeaderView header;
  for (HeaderLines lines(head); lines.next(&header);)
    if (equal_ignoring_case(header.name, name)) return header.value;
  return {};
}

}  // namespace holdfast::http
