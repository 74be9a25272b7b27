#include "base/position.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Position, IsReadAsItIsWritten) {
  for (Position position : {Position{1, 0}, Position{(uint64_t{1} << kEpochBits) - 1, UINT64_MAX},
                            Position{0x123456789abc, 42}}) {
    std::string text = text_of(position);
    ASSERT_LE(text.size(), kMaxPositionChars);
    auto read = read_position(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, position) << text;
  }
}

TEST(Position, HasTheAlphabetOfBase64Url) {
  EXPECT_EQ(text_of({(uint64_t{1} << kEpochBits) - 1, 7}), "________:7");
  EXPECT_EQ(text_of({1, 0}), "AAAAAAAB:0");
}

TEST(Position, RefusesWhatIsNone) {
  for (const char* text :
       {"", ":", "AAAAAAAB", "AAAAAAAB:", "AAAAAAA:1", "AAAAAAAB:-1", "AAAAAAAB:1 ", "AAAAAAAB:01",
        "AAAAAAAB:18446744073709551616", "AAAAAA+B:1", "AAAAAAAA:1", "AAAAAAABB:1", "AAAAAAAB:0x1",
        "AAAAAAAB:111111111111111111111"})
    EXPECT_FALSE(read_position(text)) << text;
}

}  // namespace
}  // namespace holdfast
