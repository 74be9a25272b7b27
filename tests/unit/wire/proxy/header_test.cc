// PROXY protocol, versions 1 and 2: what the specification shows, what it forbids, and every way the bytes may come.
#include "wire/proxy/header.h"

#include <gtest/gtest.h>

#include "tests/unit/every_division.h"
#include "worker/net/address_text.h"

namespace holdfast::proxy {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string version_2(char command, char family, const std::string& addresses) {
  std::string size{char(addresses.size() >> 8), char(addresses.size())};
  return kSignature + command + family + size + addresses;
}

const std::string kIpv4 =
    std::string("\xcb\x00\x71\x07\xc6\x33\x64\x01", 8) + "\xdc\x04" + std::string("\x01\xbb", 2);
std::string ipv6() {
  std::string from = "\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x07";
  std::string to = "\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x01";
  return from + to + "\xdc\x04" + std::string("\x01\xbb", 2);
}

std::string told(const Header& header) {
  if (header.status != Status::done) return header.status == Status::bad ? "bad" : "need more";
  if (!header.source) return "itself";
  return address_text(header.source->address) + " " + std::to_string(header.source->port);
}

// What is told once it is decided, and what is left behind the header.
test::Told run(const test::Pieces& pieces) {
  std::string bytes;
  Header header{Status::need_more, 0, {}};
  for (const std::string& piece : pieces) {
    bytes += piece;
    if (header.status == Status::need_more) header = read_header(bytes);
  }
  return {told(header), header.status == Status::done ? bytes.substr(header.used) : ""};
}

struct Case {
  std::string bytes, told;
};

class ProxyHeader : public ::testing::TestWithParam<Case> {};

TEST_P(ProxyHeader, IsReadInEveryDivision) {
  const Case& c = GetParam();
  if (c.told == "bad") {
    test::expect_told(c.bytes, {"bad", ""}, run);
  } else {
    test::expect_told(c.bytes + "GET", {c.told, "GET"}, run);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Good, ProxyHeader,
    ::testing::Values(
        Case{"PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n", "203.0.113.7 56324"},
        Case{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535"},
        Case{"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0"},
        Case{"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", "2001:db8::7 56324"},
        Case{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "65535 65535\r\n",
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
        Case{"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1 1"},
        Case{"PROXY UNKNOWN\r\n", "itself"},
        Case{"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "itself"},
        Case{version_2('\x21', '\x11', kIpv4), "203.0.113.7 56324"},
        Case{version_2('\x21', '\x11', kIpv4 + std::string(300, 't')), "203.0.113.7 56324"},
        Case{version_2('\x21', '\x21', ipv6()), "2001:db8::7 56324"},
        Case{version_2('\x21', '\x31', std::string(216, '/')), "itself"},
        Case{version_2('\x21', '\0', ""), "itself"}, Case{version_2('\x20', '\0', ""), "itself"},
        Case{version_2('\x20', '\x11', kIpv4), "itself"},
        Case{version_2('\x20', '\x77', "whatever"), "itself"},
        Case{version_2('\x21', '\x11', kIpv4 + std::string(kMaxHeaderBytes - 16 - 12, 't')),
             "203.0.113.7 56324"}));

INSTANTIATE_TEST_SUITE_P(
    Bad, ProxyHeader,
    ::testing::Values(Case{"GET / HTTP/1.1\r\n", "bad"}, Case{"\x16\x03\x01", "bad"},
                      Case{"PROXX", "bad"}, Case{"PROXY\r\n", "bad"}, Case{"PROXY \r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7  198.51.100.1 56324 443\r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 56324 443 \r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 56324\r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 65536 443\r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 056324 443\r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.7 198.51.100.1 +1 443\r\n", "bad"},
                      Case{"PROXY TCP4 203.0.113.07 198.51.100.1 1 443\r\n", "bad"},
                      Case{"PROXY TCP4 2001:db8::7 198.51.100.1 1 443\r\n", "bad"},
                      Case{"PROXY TCP6 203.0.113.7 198.51.100.1 1 443\r\n", "bad"},
                      Case{"PROXY TCP5 203.0.113.7 198.51.100.1 1 443\r\n", "bad"},
                      Case{"PROXY UDP4 203.0.113.7 198.51.100.1 1 443\r\n", "bad"},
                      Case{std::string("PROXY TCP4 203.0.113.7\0 198.51.100.1 1 443\r\n", 46),
                           "bad"},
                      Case{"PROXY TCP4 " + std::string(120, '1'), "bad"},
                      Case{"PROXY UNKNOWN " + std::string(100, 'x') + "\r\n", "bad"},
                      Case{"\r\n\r\nGET", "bad"}, Case{kSignature + "\x11", "bad"},
                      Case{kSignature + "\x31", "bad"}, Case{kSignature + "\x22", "bad"},
                      Case{version_2('\x21', '\x11', kIpv4.substr(1)), "bad"},
                      Case{version_2('\x21', '\x21', ipv6().substr(1)), "bad"},
                      Case{version_2('\x21', '\x31', std::string(215, '/')), "bad"},
                      Case{version_2('\x21', '\x12', kIpv4), "bad"},
                      Case{version_2('\x21', '\x41', kIpv4), "bad"},
                      Case{kSignature + "\x21\x11\xff\xff", "bad"}));

}  // namespace
}  // namespace holdfast::proxy
