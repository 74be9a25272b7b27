#include "wire/http/origin.h"

#include <algorithm>

#include "wire/http/chars.h"

namespace holdfast::http {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower_char(c);
  return out;
}

// "example.com:443" is "example.com" where 443 is what the scheme means anyway.
std::string_view without_default_port(std::string_view host, std::string_view scheme) {
  std::string_view port;
  if (scheme == "https" || scheme == "wss") port = ":443";
  if (scheme == "http" || scheme == "ws") port = ":80";
  if (!port.empty() && host.ends_with(port)) host.remove_suffix(port.size());
  return host;
}

// `origin` in lower case.
bool same_host(std::string_view origin, std::string_view host) {
  size_t mark = origin.find("://");
  if (mark == origin.npos) return false;  // "null" among others
  std::string_view scheme = origin.substr(0, mark);
  return without_default_port(origin.substr(mark + 3), scheme) ==
         without_default_port(lower(host), scheme);
}

}  // namespace

bool origin_allowed(std::string_view sent, std::string_view host,
                    const std::vector<std::string>& origins) {
  std::string origin = lower(sent);
  if (origins.empty()) return same_host(origin, host);
  // The configuration's are written as browsers send them; other programs, and sessions of a version before, may not be.
  std::string_view scheme = std::string_view(origin).substr(0, origin.find("://"));
  std::string_view plain = without_default_port(origin, scheme);
  return std::any_of(origins.begin(), origins.end(), [&](const std::string& allowed) {
    std::string listed = lower(allowed);
    return allowed == "*" || without_default_port(listed, scheme) == plain;
  });
}

std::string cors_lines(std::string_view origin) {
  std::string lines = "Vary: Origin\r\n";
  if (origin.empty()) return lines;
  lines += header_line("Access-Control-Allow-Origin", origin);
  lines +=
      "Access-Control-Allow-Credentials: true\r\n"
      "Access-Control-Expose-Headers: Holdfast-Session, Retry-After\r\n";
  return lines;
}

std::string preflight_lines(std::string_view methods) {
  return header_line("Access-Control-Allow-Methods", methods) +
         "Access-Control-Allow-Headers: Authorization, Cache-Control, Content-Type, "
         "Last-Event-ID\r\n"
         "Access-Control-Max-Age: 7200\r\n";
}

}  // namespace holdfast::http
