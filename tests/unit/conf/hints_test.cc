// What is suggested to somebody whose value is nearly right.
#include "conf/hints.h"

#include <gtest/gtest.h>

#include "conf/units.h"

namespace holdfast::conf {
namespace {

TEST(ConfHints, AnAddressThatIsNearlyOneIsCompleted) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {":8080", "did you mean \"0.0.0.0:8080\" (every IPv4 address), \"[::]:8080\""},
      {"*:8080", "did you mean \"0.0.0.0:8080\""},
      {"8080", "did you mean \"0.0.0.0:8080\""},
      {"localhost:8080", "did you mean \"127.0.0.1:8080\" or \"[::1]:8080\"?"},
      {"/run/app.sock", "did you mean \"unix:/run/app.sock\"?"},
      {"tcp://127.0.0.1:9000", "did you mean \"127.0.0.1:9000\"?"},
      {"http://127.0.0.1:9000/x", "did you mean \"127.0.0.1:9000\"?"},
      {"unix:run/x", "the path must be absolute"},
      {"127.0.0.1", "the port is missing: \"127.0.0.1:PORT\""},
      {"::1", "the port is missing: \"[::1]:PORT\""},
      {"::1:8080", "did you mean \"[::1]:8080\"?"},
      {"gateway:8080", "names are not looked up here"},
  };
  for (const auto& [written, hint] : kCases)
    EXPECT_NE(address_hint(written, false).find(hint), std::string::npos)
        << written << address_hint(written, false);
  EXPECT_EQ(address_hint(":9000", true), ", did you mean \"127.0.0.1:9000\"?");
  EXPECT_EQ(address_hint("1.2.3.4:99999", false), "");
}

TEST(ConfHints, UnitsOfOthersAreTranslated) {
  const std::pair<std::string_view, std::string_view> kSizes[] = {
      {"64k", "did you mean \"64 KiB\"?"},      {"64 KB", "did you mean \"64 KiB\"?"},
      {"1m", "did you mean \"1 MiB\"?"},        {"2 gb", "did you mean \"2 GiB\"?"},
      {"100 bytes", "did you mean \"100 B\"?"}, {"100", "did you mean \"100 B\"?"}};
  for (const auto& [written, hint] : kSizes)
    EXPECT_EQ(size_hint(written), ", " + std::string(hint));
  const std::pair<std::string_view, std::string_view> kDurations[] = {
      {"5 min", "did you mean \"5m\"?"},
      {"10sec", "did you mean \"10s\"?"},
      {"10", "did you mean \"10s\"?"},
      {"1 Hour", "did you mean \"1h\"?"}};
  for (const auto& [written, hint] : kDurations)
    EXPECT_EQ(duration_hint(written), ", " + std::string(hint));
  EXPECT_EQ(size_hint("64 XB"), "");
}

TEST(ConfHints, TextWithoutQuotesIsTold) {
  EXPECT_EQ(quotes_hint("address = 127.0.0.1:8080"),
            ", did you mean \"127.0.0.1:8080\"? (text stands in quotes)");
  EXPECT_EQ(quotes_hint("max_body = 64k  # small"),
            ", did you mean \"64 KiB\"? (text stands in quotes)");
  EXPECT_EQ(quotes_hint("read_timeout = 5m"), ", did you mean \"5m\"? (text stands in quotes)");
  EXPECT_EQ(quotes_hint("address = \"127.0.0.1:8080"), "");
  EXPECT_EQ(quotes_hint("[listen"), "");
  EXPECT_EQ(quotes_hint("a = [1, 2"), "");
}

}  // namespace
}  // namespace holdfast::conf
