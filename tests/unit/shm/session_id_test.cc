#include "shm/session_id.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_set>

namespace holdfast::shm {
namespace {

constexpr SessionId kSample{0x0007'0001'e240'beefu, 0x0123'4567'89ab'cdefu};
constexpr const char* kSampleHex = "00070001e240beef0123456789abcdef";

TEST(SessionId, IsNodeThenIndexThenRandom) {
  EXPECT_EQ(kSample.node(), 7);
  EXPECT_EQ(kSample.index(), 123'456u);
  SessionId widest = SessionId::make(0xffff, 0xffff'ffff);
  EXPECT_EQ(widest.node(), 0xffff);
  EXPECT_EQ(widest.index(), 0xffff'ffffu);
}

TEST(SessionId, PrintsAs32LowerCaseHexDigits) {
  EXPECT_EQ(kSample.hex(), kSampleHex);
  EXPECT_EQ(SessionId{}.hex(), std::string(32, '0'));
}

// The expected text is what `printf ... | xxd -r -p | base64 | tr +/ -_` says.
TEST(SessionId, PrintsAs22Base64UrlDigits) {
  EXPECT_EQ(kSample.base64url(), "AAcAAeJAvu8BI0VniavN7w");
  EXPECT_EQ((SessionId{~0ull, ~0ull}).base64url(), "_____________________w");
}

TEST(SessionId, ReadsBothFormsBack) {
  std::mt19937_64 random(20);
  for (int i = 0; i < 1000; ++i) {
    SessionId id{random(), random()};
    EXPECT_EQ(SessionId::parse(id.hex()), id);
    EXPECT_EQ(SessionId::parse(id.base64url()), id);
  }
}

TEST(SessionId, ReadsUpperCaseHex) {
  EXPECT_EQ(SessionId::parse("00070001E240BEEF0123456789ABCDEF"), kSample);
}

TEST(SessionId, RefusesEveryOtherText) {
  const char* kBad[] = {
      "",
      "0",
      "00070001e240beef0123456789abcde",    // 31
      "00070001e240beef0123456789abcdef0",  // 33
      "00070001e240beef0123456789abcdeg",
      " 0070001e240beef0123456789abcdef",
      "0x070001e240beef0123456789abcdef",
      "AAcAAeJAvu8BI0VniavN7",     // 21
      "AAcAAeJAvu8BI0VniavN7w=",   // padded
      "AAcAAeJAvu8BI0VniavN7w==",  // padded
      "AAcAAeJAvu8BI0VniavN7x",    // bits past the 128th
      "AAcAAeJAvu8BI0Vniav+7w",    // plain base64
      "AAcAAeJAvu8BI0Vniav/7w",
      "AAcAAeJAvu8 I0VniavN7w",
  };
  for (const char* text : kBad) EXPECT_FALSE(SessionId::parse(text)) << text;
  std::string nul = kSampleHex;
  nul[5] = '\0';
  EXPECT_FALSE(SessionId::parse(nul));
}

TEST(SessionId, TwoOfTheSameIndexDiffer) {
  std::unordered_set<SessionId> seen;
  uint64_t low_varies = 0, high_varies = 0;
  SessionId first = SessionId::make(1, 2);
  for (int i = 0; i < 1000; ++i) {
    SessionId id = SessionId::make(1, 2);
    EXPECT_TRUE(seen.insert(id).second);
    low_varies |= id.lo ^ first.lo;
    high_varies |= id.hi ^ first.hi;
  }
  // All 80 bits of the random part are drawn.
  EXPECT_EQ(low_varies, ~0ull);
  EXPECT_EQ(high_varies, 0xffffull);
}

}  // namespace
}  // namespace holdfast::shm
