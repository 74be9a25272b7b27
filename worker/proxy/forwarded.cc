#include "worker/proxy/forwarded.h"

#include <arpa/inet.h>

#include <string>
#include <vector>

#include "worker/http/chars.h"

namespace holdfast::proxy {
namespace {

using http::trimmed;

// The parts of a list; quoted strings (RFC 9110 section 5.6.4) are not cut.
std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') ++i;
    if (quoted || i >= text.size() || text[i] != separator) continue;
    parts.push_back(trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  parts.push_back(trimmed(text.substr(begin)));
  return parts;
}

// The node of for=NODE in one element of Forwarded; "" without.
std::string_view node_of(std::string_view element) {
  for (std::string_view pair : parts_of(element, ';')) {
    size_t equals = pair.find('=');
    if (equals == pair.npos || !http::equal_ignoring_case(pair.substr(0, equals), "for")) continue;
    std::string_view value = pair.substr(equals + 1);
    bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
    return quoted ? value.substr(1, value.size() - 2) : value;
  }
  return {};
}

}  // namespace

std::optional<in6_addr> address_of_node(std::string_view text) {
  std::string_view host = text;
  size_t colon = text.find(':');
  if (text.starts_with('[')) {
    size_t end = text.find(']');
    if (end == text.npos || (end + 1 < text.size() && text[end + 1] != ':')) return {};
    host = text.substr(1, end - 1);
  } else if (colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
  }
  return conf::parse_ip(host);
}

in6_addr client_behind(const http::Request& request, const conf::Listen& listen,
                       const in6_addr& peer) {
  bool standard = listen.forwarded == conf::Forwarded::standard;
  std::string_view name = standard ? "Forwarded" : "X-Forwarded-For";
  std::vector<std::string_view> entries;
  for (const http::Header& header : request.headers) {
    if (!http::equal_ignoring_case(header.name, name)) continue;
    for (std::string_view entry : parts_of(header.value, ',')) entries.push_back(entry);
  }
  in6_addr client = peer;
  while (!entries.empty() && listen.trusts(client)) {
    std::optional<in6_addr> before =
        address_of_node(standard ? node_of(entries.back()) : entries.back());
    entries.pop_back();
    if (!before) break;
    client = *before;
  }
  return client;
}

}  // namespace holdfast::proxy
