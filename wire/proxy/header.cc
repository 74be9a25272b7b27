#include "wire/proxy/header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>

#include "base/bytes.h"

namespace holdfast::proxy {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kWord = "PROXY ";
constexpr size_t kMaxLine = 107;  // with CR LF
constexpr size_t kFixed = 16;     // version 2, up to the addresses

Header need_more() {
  return {Status::need_more, 0, {}};
}

void map_ipv4(in6_addr& address, const void* ipv4) {
  address = {};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  std::memcpy(&address.s6_addr[12], ipv4, 4);
}

// ---- version 1

std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || (text.size() > 1 && text[0] == '0')) return {};
  return port;
}

std::optional<in6_addr> address_of(std::string_view text, bool ipv6) {
  in6_addr address{};
  std::string terminated(text);
  if (terminated.size() != std::strlen(terminated.c_str())) return {};
  if (ipv6) {
    if (inet_pton(AF_INET6, terminated.c_str(), &address) != 1) return {};
    return address;
  }
  in_addr ipv4{};
  if (inet_pton(AF_INET, terminated.c_str(), &ipv4) != 1) return {};
  map_ipv4(address, &ipv4);
  return address;
}

// Between "PROXY " and CR LF: family, addresses and ports of both ends, one space between two words.
Header read_words(std::string_view text, size_t used) {
  std::array<std::string_view, 5> words;
  for (std::string_view& word : words) {
    size_t space = text.find(' ');
    word = text.substr(0, space);
    bool last = &word == &words.back();
    if ((space == text.npos) != last && words[0] != "UNKNOWN") return {};
    if (words[0] == "UNKNOWN") return {Status::done, used, {}};  // what follows it is to be ignored
    text.remove_prefix(last ? text.size() : space + 1);
  }
  bool ipv6 = words[0] == "TCP6";
  if (!ipv6 && words[0] != "TCP4") return {};
  auto from = address_of(words[1], ipv6), to = address_of(words[2], ipv6);
  auto from_port = port_of(words[3]), to_port = port_of(words[4]);
  if (!from || !to || !from_port || !to_port) return {};
  return {Status::done, used, Source{*from, *from_port}};
}

Header read_line(std::string_view bytes) {
  size_t known = std::min(bytes.size(), kWord.size());
  if (bytes.substr(0, known) != kWord.substr(0, known)) return {};
  size_t end = bytes.substr(0, kMaxLine).find('\n');
  if (end == bytes.npos) return bytes.size() < kMaxLine ? need_more() : Header{};
  if (end <= kWord.size() || bytes[end - 1] != '\r') return {};
  return read_words(bytes.substr(kWord.size(), end - 1 - kWord.size()), end + 1);
}

// ---- version 2

Header read_binary(std::string_view bytes) {
  size_t known = std::min(bytes.size(), kSignature.size());
  if (bytes.substr(0, known) != kSignature.substr(0, known)) return {};
  if (bytes.size() > 12 && uint8_t(bytes[12]) >> 4 != 2) return {};
  if (bytes.size() > 12 && (bytes[12] & 0x0f) > 1) return {};
  if (bytes.size() < kFixed) return need_more();
  size_t length = load_be16(bytes.data() + 14), all = kFixed + length;
  if (all > kMaxHeaderBytes) return {};
  if (bytes.size() < all) return need_more();
  if ((bytes[12] & 0x0f) == 0) return {Status::done, all, {}};  // LOCAL
  const char* addresses = bytes.data() + kFixed;
  Source source;
  switch (uint8_t(bytes[13])) {
    case 0x11:  // TCP over IPv4: two addresses, two ports
      if (length < 12) return {};
      map_ipv4(source.address, addresses);
      source.port = load_be16(addresses + 8);
      return {Status::done, all, source};
    case 0x21:  // TCP over IPv6
      if (length < 36) return {};
      std::memcpy(&source.address, addresses, sizeof source.address);
      source.port = load_be16(addresses + 32);
      return {Status::done, all, source};
    case 0x31:  // a unix socket: two paths
      return length < 216 ? Header{} : Header{Status::done, all, {}};
    case 0x00:  // not known
      return {Status::done, all, {}};
    default:
      return {};
  }
}

}  // namespace

Header read_header(std::string_view bytes) {
  if (bytes.empty()) return need_more();
  return bytes[0] == kWord[0] ? read_line(bytes) : read_binary(bytes);
}

}  // namespace holdfast::proxy
