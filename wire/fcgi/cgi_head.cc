// The header at the start of a response: RFC 3875 section 6.3, with bare line feeds as CGI programs
// write them.
#include <cctype>

#include "wire/fcgi/records.h"

namespace holdfast::fcgi {
namespace {

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  for (char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

bool is_field_value(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool same_name(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(name[i])) != lower[i]) return false;
  }
  return true;
}

// "404 Not Found" or "404"; 0 where it is no status.
int status_of(std::string_view value) {
  if (value.size() < 3 || (value.size() > 3 && value[3] != ' ')) return 0;
  int status = 0;
  for (char c : value.substr(0, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status >= 100 ? status : 0;
}

// "/path" sends the server elsewhere (section 6.2.2), "https://..." the client.
bool sends_client_elsewhere(std::string_view location) {
  return !location.empty() && location[0] != '/' && location.find(':') != std::string_view::npos;
}

struct Seen {
  int status = 0;
  bool redirect = false;
};

bool take_line(std::string_view line, CgiHead* head, Seen& seen) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  std::string_view name = line.substr(0, colon);
  std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_token(name) || !is_field_value(value)) return false;
  if (same_name(name, "status")) {
    seen.status = status_of(value);
    return seen.status != 0;
  }
  seen.redirect |= same_name(name, "location") && sends_client_elsewhere(value);
  head->headers.emplace_back(name, value);
  return true;
}

}  // namespace

CgiParse parse_cgi_head(std::string_view text, CgiHead* head) {
  *head = CgiHead();
  Seen seen;
  for (size_t at = 0;;) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return CgiParse::need_more;
    std::string_view line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    at = end + 1;
    if (line.empty()) {
      head->body_offset = at;
      break;
    }
    if (!take_line(line, head, seen)) return CgiParse::malformed;
  }
  head->status = seen.status != 0 ? seen.status : seen.redirect ? 302 : 200;
  return CgiParse::complete;
}

}  // namespace holdfast::fcgi
