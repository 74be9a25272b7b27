#include <gtest/gtest.h>

#include "conf/config.h"

namespace holdfast::conf {
namespace {

bool contains(std::string_view network, std::string_view address) {
  return parse_network(network).value().contains(parse_ip(address).value());
}

TEST(Network, ContainsWhatItsPrefixSays) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("192.0.2.128/25", "192.0.2.128"));
  EXPECT_FALSE(contains("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
  EXPECT_TRUE(contains("::/0", "203.0.113.9"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("::ffff:192.0.2.0/120", "192.0.2.9"));
}

TEST(Network, IsWrittenAsItIsRead) {
  for (std::string_view text :
       {"10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "::/0", "2001:db8::/33", "::1"})
    EXPECT_EQ(network_text(parse_network(text).value()), text);
}

TEST(Network, AnythingElseIsNone) {
  for (std::string_view text :
       {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.1/8",
        "10.0.0/8", "::/129", "2001:db8::1/64", "localhost", "10.0.0.0 /8", "10.0.0.0/-1", "[::1]",
        "10.0.0.0:80"})
    EXPECT_FALSE(parse_network(text)) << text;
  EXPECT_FALSE(parse_ip(std::string_view("10.0.0.1\0x", 10)));
}

}  // namespace
}  // namespace holdfast::conf
