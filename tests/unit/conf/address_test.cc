#include <gtest/gtest.h>
#include <netinet/in.h>

#include "conf/config.h"

namespace holdfast::conf {
namespace {

TEST(Address, ReadsIpv4WithPort) {
  auto address = parse_address("127.0.0.1:8080");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->text, "127.0.0.1:8080");
  EXPECT_EQ(address->raw.ss_family, AF_INET);
  EXPECT_EQ(address->raw_bytes, sizeof(sockaddr_in));
  EXPECT_EQ(address->port(), 8080);
  EXPECT_FALSE(address->is_unix());
  EXPECT_EQ(address->unix_path(), "");
}

TEST(Address, ReadsIpv6InBrackets) {
  auto address = parse_address("[2001:db8::1]:443");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->raw.ss_family, AF_INET6);
  EXPECT_EQ(address->raw_bytes, sizeof(sockaddr_in6));
  EXPECT_EQ(address->port(), 443);
  EXPECT_FALSE(address->is_loopback());
}

TEST(Address, ReadsUnixPath) {
  auto address = parse_address("unix:/run/php/php8.2-fpm.sock");
  ASSERT_TRUE(address);
  EXPECT_TRUE(address->is_unix());
  EXPECT_EQ(address->unix_path(), "/run/php/php8.2-fpm.sock");
  EXPECT_EQ(address->port(), 0);
  EXPECT_FALSE(address->is_loopback());
}

TEST(Address, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1"}) {
    EXPECT_TRUE(parse_address(text)->is_loopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "126.0.0.1:1", "128.0.0.1:1", "[::]:1", "[::2]:1"}) {
    EXPECT_FALSE(parse_address(text)->is_loopback()) << text;
  }
}

TEST(Address, TakesTheLongestUnixPathTheKernelTakesAndNoLongerOne) {
  std::string longest = "/" + std::string(sizeof(sockaddr_un::sun_path) - 2, 'x');
  auto address = parse_address("unix:" + longest);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->unix_path(), longest);
  EXPECT_EQ(address->raw_bytes, sizeof(sockaddr_un));
  EXPECT_FALSE(parse_address("unix:" + longest + "x"));
}

TEST(Address, RefusesWhatIsNotOne) {
  for (const char* text : {"",
                           ":",
                           "8080",
                           ":8080",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:080",
                           "127.0.0.1:80 ",
                           " 127.0.0.1:80",
                           "127.0.0.1:+80",
                           "127.0.0.1:8o",
                           "127.1:80",
                           "localhost:80",
                           "*:80",
                           "::1:80",
                           "[::1]",
                           "[]:80",
                           "[127.0.0.1]:80",
                           "[::1%lo]:80",
                           "unix:",
                           "unix:/",
                           "unix:relative",
                           "unix:/a/",
                           "/run/x.sock"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_FALSE(parse_address(std::string("unix:/a\0b", 9)));
  EXPECT_FALSE(parse_address(std::string("127.0.0.1\0:80", 13)));
}

}  // namespace
}  // namespace holdfast::conf
