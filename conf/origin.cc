#include "conf/origin.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace holdfast::conf {
namespace {

OriginRead wrong(std::string_view hint = {}) {
  return {{}, hint};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

// RFC 3986 section 3.1, in lower case. Browsers have schemes of their own for extensions and apps.
bool is_scheme(std::string_view text) {
  auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

// "": it is none. Browsers write an IPv6 address in its shortest form.
std::string bracketed(std::string_view text) {
  std::string inner(text.substr(1, text.size() - 2));
  in6_addr address{};
  char shortest[INET6_ADDRSTRLEN] = "";
  if (inet_pton(AF_INET6, inner.c_str(), &address) != 1) return {};
  inet_ntop(AF_INET6, &address, shortest, sizeof shortest);
  return '[' + std::string(shortest) + ']';
}

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

// "" and ":8443"; false: it is none.
bool read_port(std::string_view text, std::string_view scheme, std::string* port) {
  port->clear();
  if (text.empty()) return true;
  text.remove_prefix(1);
  uint16_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  bool usual = (scheme == "http" && number == 80) || (scheme == "https" && number == 443);
  if (!usual) *port = ':' + std::to_string(number);
  return true;
}

}  // namespace

OriginRead read_origin(std::string_view text) {
  if (text == "null") return {"null", {}};
  size_t mark = text.find("://");
  if (mark == text.npos)
    return wrong("with its scheme before it: \"https://example.com\", or \"null\"");
  std::string scheme = lower(text.substr(0, mark));
  if (scheme == "ws" || scheme == "wss")
    return wrong("the page's origin, which begins with https:// or http://");
  std::string_view rest = text.substr(mark + 3);
  if (rest.find_first_of("/?#") != rest.npos)
    return wrong("no path behind the host, and no slash: a browser sends none");
  if (rest.find('@') != rest.npos) return wrong("no user in it: a browser sends none");
  if (rest.find('*') != rest.npos) return wrong("each host by its name; only \"*\" alone is any");
  if (std::any_of(rest.begin(), rest.end(), [](char c) { return (c & 0x80) != 0; }))
    return wrong("other letters as browsers send them: \"https://xn--...\" (RFC 3492)");
  size_t bracket = rest.starts_with('[') ? rest.find(']') : rest.npos;
  size_t end = bracket != rest.npos ? bracket + 1 : std::min(rest.find(':'), rest.size());
  std::string host = lower(rest.substr(0, end)), port;
  host = host.starts_with('[') ? bracket == rest.npos ? "" : bracketed(host) : host;
  bool good = host.starts_with('[') || is_host(host);
  std::string_view behind = rest.substr(end);
  if (!is_scheme(scheme) || !good || (!behind.empty() && behind[0] != ':')) return wrong();
  if (!read_port(behind, scheme, &port)) return wrong("a port from 0 to 65535 behind the colon");
  return {scheme + "://" + host + port, {}};
}

}  // namespace holdfast::conf
