// Forwarded (RFC 7239) and X-Forwarded-For: who of the named is believed.
#include "worker/proxy/forwarded.h"

#include <gtest/gtest.h>

#include "worker/addresses.h"

namespace holdfast::proxy {
namespace {

using conf::Forwarded;

struct Case {
  std::vector<std::string> values;  // of the header's lines
  std::string client;
};

std::string client_of(Forwarded forwarded, const std::vector<std::string>& values) {
  conf::Listen listen;
  listen.forwarded = forwarded;
  listen.proxies = {*conf::parse_network("10.0.0.0/8"), *conf::parse_network("2001:db8:1::/48")};
  http::Request request;
  for (const std::string& value : values) {
    request.headers.push_back({"Host", "x"});
    request.headers.push_back(
        {forwarded == Forwarded::standard ? "forwarded" : "x-forwarded-for", value});
  }
  return address_text(client_behind(request, listen, *conf::parse_ip("10.0.0.1")));
}

TEST(XForwardedFor, TheFirstFromTheEndThatIsNoProxyIsTheClient) {
  const Case cases[] = {
      {{}, "10.0.0.1"},
      {{"192.0.2.7"}, "192.0.2.7"},
      {{"198.51.100.66, 192.0.2.7"}, "192.0.2.7"},
      {{"198.51.100.66,192.0.2.7 , 10.1.1.1,10.2.2.2"}, "192.0.2.7"},
      {{"198.51.100.66", "192.0.2.7", "10.1.1.1"}, "192.0.2.7"},
      {{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
      {{"2001:db8::7, 2001:db8:1::1"}, "2001:db8::7"},
      {{"[2001:db8::7]:1234"}, "2001:db8::7"},
      {{"192.0.2.7:1234"}, "192.0.2.7"},
      {{"192.0.2.7, unknown"}, "10.0.0.1"},
      {{"192.0.2.7, unknown, 10.2.2.2"}, "10.2.2.2"},
      {{"192.0.2.7,"}, "10.0.0.1"},
      {{""}, "10.0.0.1"},
      {{"localhost"}, "10.0.0.1"},
      {{"192.0.2.700"}, "10.0.0.1"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(client_of(Forwarded::x_forwarded_for, c.values), c.client)
        << (c.values.empty() ? "" : c.values[0]);
}

TEST(ForwardedHeader, TheFirstFromTheEndThatIsNoProxyIsTheClient) {
  const Case cases[] = {
      {{"for=192.0.2.7"}, "192.0.2.7"},
      {{"For=\"192.0.2.7:4711\""}, "192.0.2.7"},
      {{"for=192.0.2.7;proto=https;by=10.0.0.1"}, "192.0.2.7"},
      {{"proto=https; for=192.0.2.7"}, "192.0.2.7"},
      {{"for=198.51.100.66, for=192.0.2.7, for=10.4.4.4"}, "192.0.2.7"},
      {{"for=\"[2001:db8::7]:4711\""}, "2001:db8::7"},
      {{"for=\"[2001:db8::7]\", for=\"[2001:db8:1::1]\""}, "2001:db8::7"},
      {{"for=192.0.2.7;host=\"a,b;c\""}, "192.0.2.7"},
      {{"for=192.0.2.7;host=\"a\\\",for=198.51.100.66\""}, "192.0.2.7"},
      {{"for=unknown"}, "10.0.0.1"},
      {{"for=_hidden, for=10.4.4.4"}, "10.4.4.4"},
      {{"by=10.0.0.1"}, "10.0.0.1"},
      {{"for=192.0.2.7, proto=https"}, "10.0.0.1"},
      {{"for=\"192.0.2.7"}, "10.0.0.1"},
      {{"192.0.2.7"}, "10.0.0.1"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(client_of(Forwarded::standard, c.values), c.client) << c.values[0];
}

// Only the header that is configured: a proxy passes on what it does not know.
TEST(ForwardedHeader, OtherHeadersAreNotLookedAt) {
  conf::Listen listen;
  listen.forwarded = Forwarded::standard;
  listen.proxies = {*conf::parse_network("10.0.0.0/8")};
  http::Request request;
  request.headers = {{"X-Forwarded-For", "192.0.2.7"}, {"X-Real-IP", "192.0.2.8"}};
  EXPECT_EQ(address_text(client_behind(request, listen, *conf::parse_ip("10.0.0.1"))), "10.0.0.1");
}

}  // namespace
}  // namespace holdfast::proxy
