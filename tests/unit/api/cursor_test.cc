#include "worker/api/cursor.h"

#include <gtest/gtest.h>

namespace holdfast::api {
namespace {

using Kind = Listing::Kind;

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

TEST(ListCursor, ReadsBackWhatWasWritten) {
  std::string longest(255, 'c');
  for (const Cursor& cursor :
       {Cursor{}, Cursor{.position = 1}, Cursor{.position = UINT64_MAX}, Cursor{.name = "room 1"},
        Cursor{.name = "\xc3\xa4\"\\"}, Cursor{.position = 7, .name = longest}}) {
    std::string text = write_cursor({Kind::channels, "r"}, cursor);
    EXPECT_EQ(text.find_first_not_of(kAlphabet), std::string::npos) << text;
    std::optional<Cursor> back = read_cursor({Kind::channels, "r"}, text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, cursor);
  }
}

TEST(ListCursor, IsRefusedByEveryOtherList) {
  std::string text = write_cursor({Kind::channel, "a"}, {.position = 5});
  for (Kind kind : {Kind::sessions, Kind::users, Kind::channels, Kind::user, Kind::channel})
    for (const char* scope : {"", "a", "b", "aa"})
      EXPECT_EQ(read_cursor({kind, scope}, text).has_value(),
                kind == Kind::channel && scope == std::string("a"))
          << char(kind) << scope;
}

TEST(ListCursor, IsRefusedWhereItWasDamagedOrNeverWritten) {
  Listing listing{Kind::users, ""};
  std::string good = write_cursor(listing, {.name = "alice"});
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(read_cursor(listing, good.substr(0, i))) << i;
    std::string other = good;
    // The last digit may have bits that belong to no byte.
    other[i] = kAlphabet[(kAlphabet.find(good[i]) + 16) % 64];
    EXPECT_FALSE(read_cursor(listing, other)) << other;
  }
  for (const char* bad : {"", "x", "=", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA", "a b", "%%"})
    EXPECT_FALSE(read_cursor(listing, bad)) << bad;
  EXPECT_FALSE(read_cursor(listing, good + "="));
  EXPECT_FALSE(read_cursor(listing, good + "AA"));
}

// Another worker, also of a later version, goes on with it.
TEST(ListCursor, IsTheSameTextForEver) {
  EXPECT_EQ(write_cursor({Kind::sessions, "4"}, {.position = 258}), "-xww_QAAAAAAAAEC");
  EXPECT_EQ(write_cursor({Kind::channels, ""}, {.name = "room1"}), "ICcgnQAAAAAAAAAAcm9vbTE");
}

}  // namespace
}  // namespace holdfast::api
