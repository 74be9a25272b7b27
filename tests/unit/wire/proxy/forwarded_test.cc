// Forwarded (RFC 7239) and X-Forwarded-For: who of the named is believed.
#include "wire/proxy/forwarded.h"

#include <gtest/gtest.h>

#include <random>

#include "worker/net/address_text.h"

namespace holdfast::proxy {
namespace {

using conf::Forwarded;

struct Case {
  std::vector<std::string> values;  // of the header's lines
  std::string client;
};

conf::Listen behind_proxies(Forwarded forwarded) {
  conf::Listen listen;
  listen.forwarded = forwarded;
  listen.proxies = {*conf::parse_network("10.0.0.0/8"), *conf::parse_network("2001:db8:1::/48")};
  return listen;
}

// The client, and "?" behind it where the header cannot be read to its end.
std::string client_of(Forwarded forwarded, const std::vector<std::string>& values,
                      const char* peer = "10.0.0.1") {
  http::Request request;
  for (const std::string& value : values) {
    request.headers.push_back({"Host", "x"});
    request.headers.push_back(
        {forwarded == Forwarded::standard ? "forwarded" : "x-forwarded-for", value});
  }
  Believed believed = client_behind(request, behind_proxies(forwarded), *conf::parse_ip(peer));
  return address_text(believed.client) + (believed.readable ? "" : "?");
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
      {{"::ffff:192.0.2.7"}, "192.0.2.7"},
      {{"::ffff:10.9.9.9"}, "10.9.9.9"},
      {{"fe80::7%eth0"}, "fe80::7"},
      {{"[fe80::7%eth0]:80"}, "fe80::7"},
      {{"192.0.2.7, unknown"}, "10.0.0.1?"},
      {{"192.0.2.7, unknown, 10.2.2.2"}, "10.2.2.2?"},
      {{"192.0.2.7,"}, "10.0.0.1?"},
      {{"192.0.2.7", ""}, "10.0.0.1?"},
      {{"192.0.2.7, , 10.2.2.2"}, "10.2.2.2?"},
      {{""}, "10.0.0.1?"},
      {{"localhost"}, "10.0.0.1?"},
      {{"_hidden"}, "10.0.0.1?"},
      {{"192.0.2.700"}, "10.0.0.1?"},
      {{"192.0.2.7:"}, "10.0.0.1?"},
      {{"192.0.2.7:http"}, "10.0.0.1?"},
      {{"192.0.2.7%eth0"}, "10.0.0.1?"},
      {{"fe80::7%"}, "10.0.0.1?"},
      {{"[192.0.2.7]"}, "10.0.0.1?"},
      {{"[2001:db8::7"}, "10.0.0.1?"},
      {{"[2001:db8::7]x"}, "10.0.0.1?"},
      {{"::"}, "10.0.0.1?"},
      {{"0.0.0.0"}, "10.0.0.1?"},
      // There are no quotes in it.
      {{"\", 192.0.2.7"}, "192.0.2.7"},
      {{"198.51.100.66, \", 192.0.2.7, 10.2.2.2"}, "192.0.2.7"},
      {{"\", 10.2.2.2"}, "10.2.2.2?"},
      {{"\"192.0.2.7\""}, "10.0.0.1?"},
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
      {{"for=192.0.2.7;host=\"a\\\\\""}, "192.0.2.7"},
      {{"for=192.0.2.7;host=\"\""}, "192.0.2.7"},
      {{"for=192.0.2.7 ; proto=https"}, "192.0.2.7"},
      {{"for=192.0.2.7:80;proto=https"}, "192.0.2.7"},
      {{"for=[2001:db8::7]:80"}, "2001:db8::7"},
      {{"for=\"192.0.2.7:_port\""}, "192.0.2.7"},
      {{"for=198.51.100.66", "for=192.0.2.7"}, "192.0.2.7"},
      {{"for=\"192.0.2.7", "for=10.4.4.4"}, "10.4.4.4?"},
      {{"for=unknown"}, "10.0.0.1?"},
      {{"for=_hidden, for=10.4.4.4"}, "10.4.4.4?"},
      {{"by=10.0.0.1"}, "10.0.0.1?"},
      {{"for=192.0.2.7, proto=https"}, "10.0.0.1?"},
      {{"for=\"192.0.2.7"}, "10.0.0.1?"},
      {{"for=192.0.2.7\""}, "10.0.0.1?"},
      {{"for=192.0.2.7;for=192.0.2.8"}, "10.0.0.1?"},
      {{"for=192.0.2.7;"}, "10.0.0.1?"},
      {{"for="}, "10.0.0.1?"},
      {{"=192.0.2.7"}, "10.0.0.1?"},
      {{"for = 192.0.2.7"}, "10.0.0.1?"},
      {{"for=192.0.2.7,"}, "10.0.0.1?"},
      {{""}, "10.0.0.1?"},
      {{"\""}, "10.0.0.1?"},
      {{"192.0.2.7"}, "10.0.0.1?"},
      // What a client sent before it does not change what the proxy has appended.
      {{"for=198.51.100.66;x=\", for=192.0.2.7"}, "192.0.2.7"},
      {{"for=198.51.100.66;x=\", for=\"[2001:db8::7]:80\""}, "2001:db8::7"},
      {{"for=198.51.100.66;x=\"\\, for=192.0.2.7, for=10.4.4.4"}, "192.0.2.7"},
      {{"for=198.51.100.66;x=\", for=10.4.4.4"}, "10.4.4.4?"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(client_of(Forwarded::standard, c.values), c.client) << c.values[0];
}

// I1: whatever a client writes, the entry that the proxy puts behind it is the one that counts.
TEST(ForwardedHeader, WhatTheProxyAppendedCountsBehindAnyPrefix) {
  const std::pair<const char*, const char*> appended[] = {
      {"for=192.0.2.7", "192.0.2.7"},
      {"for=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"},
      {"for=\"[2001:db8::7]:4711\"", "2001:db8::7"},
      {"host=\"a,b;c=\\\"d\\\\\";for=192.0.2.7", "192.0.2.7"},
      {"for=192.0.2.7;host=\"\\\"\"", "192.0.2.7"},
  };
  const std::string pieces[] = {
      "\"",   "\\",       ",", ";", "=", " ",  "for=",    "for=198.51.100.66",
      "x=\"", "10.1.1.1", "[", "]", ":", "\t", "unknown", "\xff"};
  std::mt19937 random(20'251'130);
  for (int i = 0; i < 20'000; ++i) {
    std::string prefix;
    for (size_t n = random() % 12; n > 0; --n) prefix += pieces[random() % std::size(pieces)];
    const auto& [entry, client] = appended[random() % std::size(appended)];
    std::string comma = random() % 2 == 0 ? "," : ", ";
    ASSERT_EQ(client_of(Forwarded::standard, {prefix + comma + entry}), client) << prefix;
    ASSERT_EQ(client_of(Forwarded::standard, {prefix, entry}), client) << prefix;
    ASSERT_EQ(client_of(Forwarded::x_forwarded_for, {prefix + comma + "192.0.2.7"}), "192.0.2.7");
    ASSERT_EQ(client_of(Forwarded::x_forwarded_for, {prefix + ",192.0.2.7, 10.5.5.5"}),
              "192.0.2.7");
  }
}

TEST(ForwardedHeader, OfWhoIsNoProxyNothingIsRead) {
  for (Forwarded forwarded : {Forwarded::standard, Forwarded::x_forwarded_for})
    EXPECT_EQ(client_of(forwarded, {"\"", "for=198.51.100.66", "198.51.100.66"}, "192.0.2.1"),
              "192.0.2.1");
}

// Only the header that is configured: a proxy passes on what it does not know.
TEST(ForwardedHeader, OtherHeadersAreNotLookedAt) {
  http::Request request;
  request.headers = {{"X-Forwarded-For", "192.0.2.7"}, {"X-Real-IP", "192.0.2.8"}};
  Believed believed =
      client_behind(request, behind_proxies(Forwarded::standard), *conf::parse_ip("10.0.0.1"));
  EXPECT_EQ(address_text(believed.client), "10.0.0.1");
  EXPECT_TRUE(believed.readable) << "a proxy that speaks for itself";
}

}  // namespace
}  // namespace holdfast::proxy
