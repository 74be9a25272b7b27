// Redis's patterns of channel names.

#include "base/glob.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

struct Case {
  std::string pattern, name;
  bool matches;
};

const Case kCases[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"*", "", true},
    {"*", "anything", true},
    {"**a", "ba", true},
    {"a*", "abc", true},
    {"a*c", "abc", true},
    {"a*c", "acbc", true},
    {"a*c", "acbd", false},
    {"*b*d*", "abcde", true},
    {"*b*d*", "adcbe", false},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"room[12]", "room1", true},
    {"room[12]", "room3", false},
    {"room[^12]", "room3", true},
    {"room[^12]", "room2", false},
    {"[a-c]x", "bx", true},
    {"[c-a]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[\\]]", "]", true},
    {"[a\\-c]", "b", false},
    {"[a\\-c]", "-", true},
    {"[]", "a", false},
    {"[^]", "a", true},
    {"[ab", "a", true},
    {"[ab", "c", false},
    {"a\\*", "a*", true},
    {"a\\*", "ab", false},
    {"a\\", "a\\", true},
    {"ABC", "abc", false},
    {"[\x80-\xff]", "\xc3", true},
};

TEST(RespGlob, MatchesAsRedisDoes) {
  for (const Case& c : kCases)
    EXPECT_EQ(glob_match(c.pattern, c.name), c.matches) << c.pattern << " on " << c.name;
}

TEST(RespGlob, KnowsWhatEveryMatchBeginsWith) {
  EXPECT_EQ(glob_prefix("room:1*"), "room:1");
  EXPECT_EQ(glob_prefix("room?"), "room");
  EXPECT_EQ(glob_prefix("room[1]"), "room");
  EXPECT_EQ(glob_prefix("ro\\*om*"), "ro*om");
  EXPECT_EQ(glob_prefix("room"), "room");
  EXPECT_EQ(glob_prefix("*"), "");
}

// Tried star by star, this takes longer than anybody waits.
TEST(RespGlob, ManyStarsTakeNoMoreThanTheProductOfBothLengths) {
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern + "b", std::string(255, 'a')));
}

}  // namespace
}  // namespace holdfast
