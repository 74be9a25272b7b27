#include "ctl/units.h"

#include <gtest/gtest.h>

namespace holdfast::ctl {
namespace {

TEST(Units, CountsAreGroupedByThousands) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1,000");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(Units, BytesTakeTheUnitThatFits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(Units, RatesLoseTheirFractionWhereItDoesNotMatter) {
  EXPECT_EQ(human_rate(0), "0");
  EXPECT_EQ(human_rate(3.46), "3.5");
  EXPECT_EQ(human_rate(99.96), "100");
  EXPECT_EQ(human_rate(12345.6), "12,346");
}

TEST(Units, MicrosecondsTakeTheUnitThatFits) {
  EXPECT_EQ(human_micros(999), "999 us");
  EXPECT_EQ(human_micros(1200), "1.2 ms");
  EXPECT_EQ(human_micros(999'960), "1.0 s");
}

TEST(Units, DurationsShowTwoUnitsAtMost) {
  EXPECT_EQ(human_duration_ms(999), "999 ms");
  EXPECT_EQ(human_duration_ms(59'999), "59.9 s");
  EXPECT_EQ(human_duration_ms(60'000), "1m 00s");
  EXPECT_EQ(human_duration_ms(11'225'000), "3h 07m");
  EXPECT_EQ(human_duration_ms(uint64_t{1000} * (12 * 86'400 + 4 * 3600)), "12d 04h");
}

TEST(Units, NoBytesThatSteerATerminalAreLeft) {
  EXPECT_EQ(printable("plain"), "plain");
  EXPECT_EQ(printable("\x1b[31mred\n"), "?[31mred?");
  EXPECT_EQ(printable("J\xc3\xbcrgen"), "J\xc3\xbcrgen");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "31m"),
            "a?31m");                      // C1: CSI in one code point
  EXPECT_EQ(printable("\xff\xc3"), "??");  // not UTF-8
}

TEST(Units, WidthCountsCodePoints) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("J\xc3\xbcrgen"), 6u);
}

}  // namespace
}  // namespace holdfast::ctl
