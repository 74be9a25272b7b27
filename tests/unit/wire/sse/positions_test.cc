#include "wire/sse/positions.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using sse::Positions;

const Position kOne{0x123456789abc, 42}, kTwo{1, 0};

TEST(SsePositions, ComeBackAsTheyWere) {
  Positions positions = {{"room1", kOne}, {"a b&c=d%\xc3\xbc", kTwo}};
  std::string id = sse::id_of(positions);
  EXPECT_EQ(id, "room1=" + text_of(kOne) + "&a%20b%26c%3Dd%25%C3%BC=" + text_of(kTwo));
  EXPECT_EQ(sse::read_positions(id, 2), positions);
  EXPECT_EQ(sse::id_of({{"a", Position{}}}), "") << "unknown";
  EXPECT_EQ(sse::read_positions("", 2), Positions{});
}

TEST(SsePositions, OneAloneIsOfAnyChannel) {
  auto read = sse::read_positions(text_of(kOne), 2);
  ASSERT_TRUE(read);
  ASSERT_NE(sse::find(*read, "any"), nullptr);
  EXPECT_EQ(*sse::find(*read, "any"), kOne);
  EXPECT_EQ(sse::find({{"room1", kOne}}, "room2"), nullptr);
}

TEST(SsePositions, WhatCannotBeReadIsNothing) {
  const std::string at = text_of(kOne);
  for (const std::string& bad :
       {std::string("x"), "a=" + at + "&", "=" + at, "a=" + at + "&a=" + at, std::string("a=x"),
        "%zz=" + at, "a=" + at + "&b=" + at + "&c=" + at, at + "&" + at,
        "a=" + at + "&" + std::string(9'000, 'b') + "=" + at})
    EXPECT_FALSE(sse::read_positions(bad, 2)) << bad.substr(0, 100);
}

TEST(SsePositions, AnIdThatNobodyWouldReadIsNotWritten) {
  Positions many;
  for (int i = 0; i < 100; ++i) many.emplace_back(std::string(200, 'x') + std::to_string(i), kOne);
  EXPECT_EQ(sse::id_of(many), "");
}

}  // namespace
}  // namespace holdfast
