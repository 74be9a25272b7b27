#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

#include "conf/config.h"

namespace holdfast::conf {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

// sockaddr_storage is read and written as the kind it holds by copying, never through a cast
// pointer.
template <class T>
T as(const sockaddr_storage& raw) {
  T out{};
  static_assert(sizeof out <= sizeof raw);
  std::memcpy(&out, &raw, sizeof out);
  return out;
}

template <class T>
Address made_of(std::string_view text, const T& raw, size_t raw_bytes) {
  Address address;
  address.text = text;
  std::memcpy(&address.raw, &raw, sizeof raw);
  address.raw_bytes = socklen_t(raw_bytes);
  return address;
}

// Digits only, no leading zero: one address has one spelling.
std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return {};
  uint16_t port = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size()) return {};
  return port;
}

std::optional<Address> parse_unix(std::string_view text) {
  std::string_view path = text.substr(kUnixPrefix.size());
  sockaddr_un raw{};
  bool fits = path.size() < sizeof raw.sun_path;  // the kernel wants room for the NUL
  if (!path.starts_with('/') || path.ends_with('/') || !fits) return {};
  if (path.find('\0') != path.npos) return {};
  raw.sun_family = AF_UNIX;
  std::memcpy(raw.sun_path, path.data(), path.size());
  return made_of(text, raw, offsetof(sockaddr_un, sun_path) + path.size() + 1);
}

std::optional<Address> parse_v6(std::string_view text, std::string_view host, uint16_t port) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  if (inet_pton(AF_INET6, std::string(host).c_str(), &raw.sin6_addr) != 1) return {};
  return made_of(text, raw, sizeof raw);
}

std::optional<Address> parse_v4(std::string_view text, std::string_view host, uint16_t port) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  if (inet_pton(AF_INET, std::string(host).c_str(), &raw.sin_addr) != 1) return {};
  return made_of(text, raw, sizeof raw);
}

}  // namespace

std::optional<Address> parse_address(const std::string& written) {
  std::string_view text = written;
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);
  size_t colon = text.rfind(':');
  if (colon == text.npos || text.find('\0') != text.npos) return {};
  std::optional<uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return {};
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return parse_v6(text, host.substr(1, host.size() - 2), *port);
  }
  return parse_v4(text, host, *port);
}

bool Address::is_loopback() const {
  if (raw.ss_family == AF_INET) {
    return ntohl(as<sockaddr_in>(raw).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (raw.ss_family != AF_INET6) return false;
  in6_addr host = as<sockaddr_in6>(raw).sin6_addr;
  return std::memcmp(&host, &in6addr_loopback, sizeof host) == 0;
}

uint16_t Address::port() const {
  if (raw.ss_family == AF_INET) return ntohs(as<sockaddr_in>(raw).sin_port);
  if (raw.ss_family == AF_INET6) return ntohs(as<sockaddr_in6>(raw).sin6_port);
  return 0;
}

std::string Address::unix_path() const {
  return is_unix() ? text.substr(kUnixPrefix.size()) : std::string();
}

}  // namespace holdfast::conf
