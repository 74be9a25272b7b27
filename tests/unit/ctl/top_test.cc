// What `top` ranks, and how it looks.
#include "ctl/top.h"

#include <gtest/gtest.h>

#include "ctl/units.h"
#include "tests/unit/ctl/view.h"

namespace holdfast::ctl {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class Top : public View {
 protected:
  SessionSampler sampler_;
};

TEST_F(Top, FirstLookHasUnsentBytesButNoRates) {
  shm::Slab own = slab(0);
  auto a = own.claim({}), b = own.claim({}), idle = own.claim({});
  ASSERT_TRUE(a && b && idle);
  own.set_counts(*a, 10, 10, 100);
  own.set_counts(*b, 10, 10, 2000);
  SessionRanks ranks = sampler_.look(*guest_, kSecond, 10);
  EXPECT_EQ(ranks.sessions, 3u);
  EXPECT_EQ(ranks.unsent_bytes, 2100u);
  ASSERT_EQ(ranks.by_unsent.size(), 2u) << "who owes nothing is not listed";
  EXPECT_EQ(ranks.by_unsent[0].id, *b);
  EXPECT_TRUE(ranks.by_rate.empty());
}

TEST_F(Top, RateIsMessagesInAndOutASecondSinceTheLookBefore) {
  shm::Slab own = slab(0), other = slab(2);
  auto a = own.claim({}), b = other.claim({});
  ASSERT_TRUE(a && b);
  own.set_counts(*a, 100, 100, 0);
  other.set_counts(*b, UINT32_MAX - 1, 0, 0);
  sampler_.look(*guest_, kSecond, 10);
  own.set_counts(*a, 103, 101, 0);
  other.set_counts(*b, 8, 0, 0);  // past the end of 32 bits
  auto late = own.claim({});
  own.set_counts(*late, 0, 1, 0);
  SessionRanks ranks = sampler_.look(*guest_, 3 * kSecond, 10);
  ASSERT_EQ(ranks.by_rate.size(), 3u);
  EXPECT_EQ(ranks.by_rate[0].id, *b);
  EXPECT_DOUBLE_EQ(ranks.by_rate[0].in_per_s, 5);
  EXPECT_DOUBLE_EQ(ranks.by_rate[1].in_per_s, 1.5);
  EXPECT_DOUBLE_EQ(ranks.by_rate[1].out_per_s, 0.5);
  EXPECT_EQ(ranks.by_rate[2].id, *late);
  EXPECT_DOUBLE_EQ(ranks.by_rate[2].out_per_s, 0.5);
}

TEST_F(Top, PlaceThatAnotherSessionHasTakenStartsFromZero) {
  shm::Slab own = slab(0);
  auto first = own.claim({});
  own.set_counts(*first, 1000, 0, 0);
  sampler_.look(*guest_, kSecond, 10);
  own.release(*first);
  auto second = own.claim({});
  ASSERT_EQ(first->index(), second->index());
  own.set_counts(*second, 2, 0, 0);
  EXPECT_DOUBLE_EQ(sampler_.look(*guest_, 2 * kSecond, 10).by_rate.at(0).in_per_s, 2);
}

TEST_F(Top, OnlyTheBestRowsAreKeptInOrder) {
  shm::Slab own = slab(0);
  for (uint32_t unsent : {5u, 1u, 4u, 2u, 3u}) {
    auto id = own.claim({});
    ASSERT_TRUE(id);
    own.set_counts(*id, 0, 0, unsent);
  }
  SessionRanks ranks = sampler_.look(*guest_, kSecond, 3);
  ASSERT_EQ(ranks.by_unsent.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(ranks.by_unsent[i].unsent_bytes, 5 - i);
  EXPECT_EQ(ranks.sessions, 5u);
}

// A list of channels that a test changes between looks.
struct CannedChannels {
  std::string body;
  int status = 200;
  ChannelSampler sampler{[this](const std::string&) -> Result<HttpAnswer> {
    return HttpAnswer{status, body};
  }};
};

TEST(TopChannels, AreRankedByMembersAndByMessagesASecond) {
  CannedChannels api;
  api.body = R"({"channels":[{"name":"a","members":9,"published":100},)"
             R"({"name":"b","members":1,"subscribers":9,"published":50}]})";
  ASSERT_TRUE(api.sampler.look(kSecond, 10));
  api.body = R"({"channels":[{"name":"a","members":9,"published":101},)"
             R"({"name":"b","members":1,"subscribers":9,"published":4},)"
             R"({"name":"new","members":1,"published":6}]})";
  Result<ChannelRanks> ranks = api.sampler.look(3 * kSecond, 10);
  ASSERT_TRUE(ranks);
  EXPECT_EQ(ranks->channels, 3u);
  EXPECT_EQ(ranks->by_members.at(0).name, "b") << "subscribers are members to whoever publishes";
  ASSERT_EQ(ranks->by_rate.size(), 3u);
  EXPECT_EQ(ranks->by_rate[0].name, "new");
  EXPECT_DOUBLE_EQ(ranks->by_rate[0].per_s, 3);
  EXPECT_EQ(ranks->by_rate[1].name, "b");
  EXPECT_DOUBLE_EQ(ranks->by_rate[1].per_s, 2) << "its count began anew";
  EXPECT_DOUBLE_EQ(ranks->by_rate[2].per_s, 0.5);
}

TEST(TopChannels, ChannelThatAPartialLookDidNotShowHasNoRate) {
  CannedChannels api;
  api.body = R"({"channels":[],"partial":true})";
  Result<ChannelRanks> first = api.sampler.look(kSecond, 10);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->incomplete);
  api.body = R"({"channels":[{"name":"old","members":1,"published":1000}]})";
  EXPECT_TRUE(api.sampler.look(2 * kSecond, 10)->by_rate.empty());
}

TEST(TopChannels, LookAfterAFailureIsAFirstOne) {
  CannedChannels api;
  api.body = R"({"channels":[{"name":"a","members":1,"published":1}]})";
  ASSERT_TRUE(api.sampler.look(kSecond, 10));
  api.status = 500;
  EXPECT_FALSE(api.sampler.look(2 * kSecond, 10));
  api.status = 200;
  api.body = R"({"channels":[{"name":"a","members":1,"published":1000}]})";
  EXPECT_TRUE(api.sampler.look(3 * kSecond, 10)->by_rate.empty());
}

TEST(TopChannels, MoreThanAHundredThousandAreNotLookedAt) {
  uint64_t asked = 0;
  ChannelSampler sampler([&](const std::string& path) -> Result<HttpAnswer> {
    EXPECT_NE(path.find("limit=10000"), std::string::npos) << path;
    std::string body = R"({"channels":[)";
    for (int i = 0; i < 10'000; ++i)
      body += std::string(i == 0 ? "" : ",") + R"({"name":")" + std::to_string(asked++) + "\"}";
    return HttpAnswer{200, body + R"(],"cursor":")" + std::to_string(asked) + "\"}"};
  });
  Result<ChannelRanks> ranks = sampler.look(kSecond, 5);
  ASSERT_TRUE(ranks) << ranks.error().text();
  EXPECT_EQ(asked, 100'000u);
  EXPECT_EQ(ranks->channels, 100'000u);
  EXPECT_TRUE(ranks->more);
}

TopLook full_look() {
  TopLook look{.instance = "demo", .wall_ms = 1'000'000, .interval_s = 1};
  SessionRow row{.id = shm::SessionId::make(1, 2),
                 .user = std::string(64, 'u'),
                 .worker = 63,
                 .unsent_bytes = UINT32_MAX,
                 .in_per_s = 123'456,
                 .out_per_s = 123'456};
  look.sessions = {.sessions = 1'000'000,
                   .unsent_bytes = uint64_t{1} << 40,
                   .in_per_s = 1e6,
                   .out_per_s = 1e6,
                   .by_unsent = std::vector(30, row),
                   .by_rate = std::vector(30, row)};
  ChannelRow channel{std::string(255, 'c'), 1'000'000, 1'000'000, 1e6};
  look.channels = ChannelRanks{.channels = 100'000,
                               .more = true,
                               .by_members = std::vector(30, channel),
                               .by_rate = std::vector(30, channel)};
  return look;
}

TEST(TopText, FillsAScreenOfTwentyFourLinesAndEightyColumns) {
  std::string text = top_text(full_look(), {.width = 80}, 24);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 23) << text;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_LE(display_width(line), 80u) << line;
  }
  EXPECT_NE(text.find("only the first 100,000 channels"), std::string::npos) << text;
}

TEST(TopText, ShortListsLeaveTheirRowsToTheOthers) {
  EXPECT_EQ(share_rows({0, 9, 1, 9}, 10), (std::vector<size_t>{0, 5, 1, 4}));
  EXPECT_EQ(share_rows({1, 1, 1, 1}, 100), (std::vector<size_t>{1, 1, 1, 1}));
  EXPECT_EQ(share_rows({9, 9, 9, 9}, 0), (std::vector<size_t>{0, 0, 0, 0}));
}

TEST(TopText, ChannelsThatCouldNotBeAskedForAreSaid) {
  TopLook look = full_look();
  look.channels.reset();
  look.channels_error = "no answer in time";
  EXPECT_NE(top_text(look, {}, 0).find("channels: no answer in time\n"), std::string::npos);
  std::string json = top_json(look);
  ASSERT_TRUE(is_json_line(json)) << json;
  EXPECT_NE(json.find(R"("channels":{"error":"no answer in time"})"), std::string::npos) << json;
}

TEST(TopText, JsonHasAllFourRankings) {
  std::string json = top_json(full_look());
  ASSERT_TRUE(is_json_line(json));
  for (const char* key : {"by_unsent", "by_members"})
    EXPECT_NE(json.find(std::string("\"") + key + "\":["), std::string::npos) << key;
  EXPECT_NE(json.find("\"by_rate\":["), json.rfind("\"by_rate\":[")) << "one each";
}

}  // namespace
}  // namespace holdfast::ctl
