// Answers to bytes.
#include "wire/http/chars.h"
#include "wire/http/request.h"

namespace holdfast::http {
namespace {

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

bool is_header_line(std::string_view line) {
  size_t colon = line.find(':');
  return colon != line.npos && is_token(line.substr(0, colon)) &&
         std::none_of(line.begin(), line.end(), is_control_char);
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      break;
  }
  if (status < 200) return "Information";
  if (status < 300) return "Success";
  if (status < 400) return "Redirection";
  return status < 500 ? "Client Error" : "Server Error";
}

std::string header_line(std::string_view name, std::string_view value) {
  if (!is_token(name)) return {};
  std::string line(name);
  line += ": ";
  for (char c : value) line += is_control_char(c) ? ' ' : c;
  line += "\r\n";
  return line;
}

void append_header_lines(std::string& head, std::string_view lines) {
  while (!lines.empty()) {
    size_t end = lines.find("\r\n");
    if (end == lines.npos) return;
    if (is_header_line(lines.substr(0, end))) head += lines.substr(0, end + 2);
    lines.remove_prefix(end + 2);
  }
}

std::string make_response(int status, std::string_view content_type, std::string_view body,
                          bool keep_alive, std::string_view extra_headers) {
  std::string out;
  out.reserve(128 + content_type.size() + extra_headers.size() + body.size());
  out = "HTTP/1.1 " + std::to_string(status) + ' ';
  out += reason_phrase(status);
  out += "\r\n";
  if (!content_type.empty()) out += header_line("Content-Type", content_type);
  if (!has_no_body(status)) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  append_header_lines(out, extra_headers);
  out += "\r\n";
  if (!has_no_body(status)) out += body;
  return out;
}

}  // namespace holdfast::http
