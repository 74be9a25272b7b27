#include "conf/units.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace holdfast::conf {
namespace {

struct Good {
  const char* text;
  uint64_t value;
};
struct Bad {
  const char* text;
  const char* error;
};

TEST(Size, ReadsEveryUnitInPowersOf1024) {
  for (const Good& size : std::vector<Good>{{"0 B", 0},
                                            {"512 B", 512},
                                            {"1B", 1},
                                            {"64 KiB", 65'536},
                                            {"64KiB", 65'536},
                                            {"1 MiB", 1'048'576},
                                            {"2 GiB", 2'147'483'648},
                                            {"17179869183 GiB", 18'446'744'072'635'809'792u}}) {
    Quantity got = parse_size(size.text);
    EXPECT_TRUE(got) << size.text << ": " << got.error;
    EXPECT_EQ(got.value, size.value) << size.text;
  }
}

TEST(Size, SaysWhatIsWrong) {
  for (const Bad& size : std::vector<Bad>{{"", "does not start with a number"},
                                          {"KiB", "does not start with a number"},
                                          {" 1 KiB", "does not start with a number"},
                                          {"-1 KiB", "does not start with a number"},
                                          {"+1 KiB", "does not start with a number"},
                                          {"64", "no unit"},
                                          {"64 ", "no unit"},
                                          {"64 KB", "unknown unit \"KB\""},
                                          {"64 kib", "unknown unit \"kib\""},
                                          {"64  KiB", "unknown unit \" KiB\""},
                                          {"64 KiB ", "unknown unit \"KiB \""},
                                          {"1.5 MiB", "unknown unit \".5 MiB\""},
                                          {"1 MiB 5 KiB", "unknown unit \"MiB 5 KiB\""},
                                          {"1_000 B", "unknown unit \"_000 B\""},
                                          {"17179869184 GiB", "too large"},
                                          {"18446744073709551616 B", "too large"}}) {
    EXPECT_EQ(parse_size(size.text).error, size.error) << size.text;
  }
}

TEST(Size, IsPrintedInTheLargestUnitWithoutRest) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1 KiB");
  EXPECT_EQ(format_size(1536), "1536 B");
  EXPECT_EQ(format_size(3u << 20), "3 MiB");
  EXPECT_EQ(format_size(uint64_t(5) << 30), "5 GiB");
}

TEST(Duration, ReadsEveryUnit) {
  for (const Good& duration : std::vector<Good>{{"0s", 0},
                                                {"250ms", 250},
                                                {"25s", 25'000},
                                                {"25 s", 25'000},
                                                {"5m", 300'000},
                                                {"1h", 3'600'000}}) {
    Quantity got = parse_duration(duration.text);
    EXPECT_TRUE(got) << duration.text << ": " << got.error;
    EXPECT_EQ(got.value, duration.value) << duration.text;
  }
}

TEST(Duration, SaysWhatIsWrong) {
  for (const Bad& duration : std::vector<Bad>{{"", "does not start with a number"},
                                              {"s", "does not start with a number"},
                                              {"10", "no unit"},
                                              {"10d", "unknown unit \"d\""},
                                              {"1h30m", "unknown unit \"h30m\""},
                                              {"1.5s", "unknown unit \".5s\""},
                                              {"5124095576030432h", "too large"}}) {
    EXPECT_EQ(parse_duration(duration.text).error, duration.error) << duration.text;
  }
}

TEST(Duration, IsPrintedInTheLargestUnitWithoutRest) {
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(999), "999ms");
  EXPECT_EQ(format_duration(60'000), "1m");
  EXPECT_EQ(format_duration(90'000), "90s");
  EXPECT_EQ(format_duration(7'200'000), "2h");
}

TEST(Quantities, AreReadBackAsPrinted) {
  for (uint64_t value : {uint64_t(0), uint64_t(1), uint64_t(1000), uint64_t(1024), uint64_t(60'000),
                         uint64_t(3'600'000), uint64_t(1) << 40, UINT64_MAX}) {
    EXPECT_EQ(parse_size(format_size(value)).value, value);
    EXPECT_EQ(parse_duration(format_duration(value)).value, value);
  }
}

}  // namespace
}  // namespace holdfast::conf
