#include "wire/http/request_writer.h"

#include "base/check.h"
#include "wire/http/chars.h"
#include "wire/http/request.h"

namespace holdfast::http {
namespace {

void append_encoded(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  auto byte = static_cast<unsigned char>(c);
  out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
}

bool is_unreserved(char c) {
  return (lower_char(c) >= 'a' && lower_char(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// No target can end the request line.
void append_target(std::string& out, std::string_view target) {
  for (char c : target) {
    if (c > ' ' && c < 0x7f)
      out += c;
    else
      append_encoded(out, c);
  }
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_unreserved(c))
      out += c;
    else
      append_encoded(out, c);
  }
  return out;
}

std::string make_request(const RequestHead& head, std::string_view body) {
  HF_CHECK(is_token(head.method));
  std::string out;
  out.reserve(128 + head.target.size() + head.extra_headers.size() + body.size());
  out.append(head.method) += ' ';
  append_target(out, head.target);
  out += " HTTP/1.1\r\n";
  out += header_line("Host", head.host);
  append_header_lines(out, head.extra_headers);
  if (!head.content_type.empty()) out += header_line("Content-Type", head.content_type);
  if (!body.empty() || (head.method != "GET" && head.method != "HEAD"))
    out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  out += "\r\n";
  return out.append(body);
}

}  // namespace holdfast::http
