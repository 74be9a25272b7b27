// Origins as browsers send them, out of what people write.
#include "conf/origin.h"

#include <gtest/gtest.h>

namespace holdfast::conf {
namespace {

TEST(Origin, IsWrittenAsABrowserSendsIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"https://example.com", "https://example.com"},
      {"https://example.com:443", "https://example.com"},
      {"http://example.com:80", "http://example.com"},
      {"http://example.com:443", "http://example.com:443"},
      {"https://example.com:80", "https://example.com:80"},
      {"https://example.com:08443", "https://example.com:8443"},
      {"HTTPS://Www.Example.COM", "https://www.example.com"},
      {"http://localhost:3000", "http://localhost:3000"},
      {"http://[::1]:3000", "http://[::1]:3000"},
      {"https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"},
      {"http://127.0.0.1:80", "http://127.0.0.1"},
      {"chrome-extension://abcdef", "chrome-extension://abcdef"},
      {"capacitor://localhost", "capacitor://localhost"},
      {"null", "null"},
  };
  for (auto [written, sent] : cases) EXPECT_EQ(read_origin(written).origin, sent) << written;
}

TEST(Origin, WhatNoBrowserSendsIsNoneAndSaysWhatWouldBe) {
  const std::pair<const char*, const char*> cases[] = {
      {"example.com", "its scheme"},
      {"https://example.com/", "no slash"},
      {"https://example.com/app", "no path"},
      {"https://example.com?x", "no path"},
      {"https://*.example.com", "each host"},
      {"https://me@example.com", "no user"},
      {"wss://example.com", "https://"},
      {"ws://example.com", "http://"},
      {"https://b\xc3\xbc\x63her.example", "xn--"},
      {"https://example.com:", "a port"},
      {"https://example.com:https", "a port"},
      {"https://example.com:65536", "a port"},
      {"https://example.com:-1", "a port"},
      {"https://", ""},
      {"://example.com", ""},
      {"https://exa mple.com", ""},
      {"https://[::1", ""},
      {"https://[::g]", ""},
      {"https://[::1]x", ""},
      {"Null", "its scheme"},
  };
  for (auto [written, hint] : cases) {
    OriginRead read = read_origin(written);
    EXPECT_EQ(read.origin, "") << written;
    EXPECT_NE(read.hint.find(hint), read.hint.npos) << written << ": " << read.hint;
  }
}

}  // namespace
}  // namespace holdfast::conf
