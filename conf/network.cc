#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "conf/config.h"

namespace holdfast::conf {
namespace {

constexpr unsigned kMapped = 96;  // bits of ::ffff:0:0/96

bool bit_of(const in6_addr& address, unsigned bit) {
  return (address.s6_addr[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

}  // namespace

std::optional<in6_addr> parse_ip(std::string_view text) {
  std::string terminated(text);
  in6_addr address{};
  if (terminated.size() != std::strlen(terminated.c_str())) return {};
  if (inet_pton(AF_INET6, terminated.c_str(), &address) == 1) return address;
  if (inet_pton(AF_INET, terminated.c_str(), &address.s6_addr[12]) != 1) return {};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  return address;
}

std::optional<Network> parse_network(std::string_view text) {
  size_t slash = text.find('/');
  std::string_view host = text.substr(0, slash);
  std::optional<in6_addr> address = parse_ip(host);
  if (!address) return {};
  bool ipv4 = host.find(':') == host.npos;
  unsigned most = ipv4 ? 32 : 128, prefix = most;
  if (slash != text.npos) {
    std::string_view digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole || prefix > most || (digits.size() > 1 && digits[0] == '0')) return {};
  }
  Network network{*address, prefix + (ipv4 ? kMapped : 0)};
  for (unsigned bit = network.prefix; bit < 128; ++bit)
    if (bit_of(*address, bit)) return {};
  return network;
}

std::string network_text(const Network& network) {
  char text[INET6_ADDRSTRLEN] = "";
  bool ipv4 = IN6_IS_ADDR_V4MAPPED(&network.address) && network.prefix >= kMapped;
  if (ipv4) {
    inet_ntop(AF_INET, &network.address.s6_addr[12], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &network.address, text, sizeof text);
  }
  std::string out = text;
  if (network.prefix < 128) out += '/' + std::to_string(network.prefix - (ipv4 ? kMapped : 0));
  return out;
}

bool Network::contains(const in6_addr& other) const {
  unsigned bytes = prefix / 8, bits = prefix % 8;
  if (std::memcmp(&address, &other, bytes) != 0) return false;
  return bits == 0 || (address.s6_addr[bytes] ^ other.s6_addr[bytes]) >> (8 - bits) == 0;
}

bool Network::operator==(const Network& other) const {
  return prefix == other.prefix && std::memcmp(&address, &other.address, sizeof address) == 0;
}

bool Listen::trusts(const in6_addr& peer) const {
  if (proxies_unix && IN6_IS_ADDR_UNSPECIFIED(&peer)) return true;
  return std::any_of(proxies.begin(), proxies.end(),
                     [&](const Network& network) { return network.contains(peer); });
}

}  // namespace holdfast::conf
