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

TEST(Units, MarksThatTurnTheDirectionOfALineAreNotPrintable) {
  EXPECT_EQ(printable("a\u202eb\u2066c\u2028d"), "a?b?c?d");
}

TEST(Units, WidthCountsColumnsOfATerminal) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("J\xc3\xbcrgen"), 6u);
  EXPECT_EQ(display_width("\u65e5\u672c"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\U0001f600"), 2u);
  EXPECT_EQ(display_width("\xff\xe6\x97"), 2u) << "not UTF-8: some width, and no reading beyond";
}

TEST(Units, CutTextIsNeverWiderThanAskedFor) {
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abcd", 3), "ab\u2026");
  EXPECT_EQ(cut_to_width("\u65e5\u672c\u8a9e", 4), "\u65e5\u2026");
  EXPECT_EQ(cut_to_width("abc", 1), "\u2026");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(Units, ShortFormsTakeFiveColumnsAtMost) {
  EXPECT_EQ(short_count(9'999), "9999");
  EXPECT_EQ(short_count(12'345), "12.3k");
  EXPECT_EQ(short_count(999'499), "999k");
  EXPECT_EQ(short_count(999'501), "1.0M");
  EXPECT_EQ(short_bytes(1023), "1023");
  EXPECT_EQ(short_bytes(1536), "1.5K");
  EXPECT_EQ(short_bytes(uint64_t{5} << 40), "5.0T");
  EXPECT_EQ(short_rate(0), "0");
  EXPECT_EQ(short_rate(3.46), "3.5");
  EXPECT_EQ(short_rate(99.97), "100");
  EXPECT_EQ(short_rate(123'456), "123k");
  for (uint64_t n = 1; n != 0; n *= 2) {
    EXPECT_LE(short_count(n).size(), 5u) << n;
    EXPECT_LE(short_bytes(n).size(), 5u) << n;
  }
}

}  // namespace
}  // namespace holdfast::ctl
