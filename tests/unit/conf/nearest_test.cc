#include <gtest/gtest.h>

#include "conf/report.h"

namespace holdfast::conf {
namespace {

const std::vector<std::string_view> kKeys{"address",       "path",         "page", "idle_timeout",
                                          "close_timeout", "max_sessions", "order"};

TEST(NearestKey, ForgivesTwoSlips) {
  EXPECT_EQ(nearest("adress", kKeys), "address");
  EXPECT_EQ(nearest("max_sesions", kKeys), "max_sessions");
  EXPECT_EQ(nearest("max-session", kKeys), "max_sessions");
  EXPECT_EQ(nearest("odrer", kKeys), "order");
  EXPECT_EQ(nearest("IDLE_timeout", kKeys), "idle_timeout");
}

TEST(NearestKey, PrefersTheNearer) {
  EXPECT_EQ(nearest("pat", kKeys), "path");
  EXPECT_EQ(nearest("pagee", kKeys), "page");
}

TEST(NearestKey, FindsAWordOfALongerKey) {
  EXPECT_EQ(nearest("sessions", kKeys), "max_sessions");
  EXPECT_EQ(nearest("timeout", kKeys), "idle_timeout");
  EXPECT_EQ(nearest("listen_address", kKeys), "address");
}

TEST(NearestKey, StaysSilentWhereNothingIsNear) {
  EXPECT_EQ(nearest("colour", kKeys), "");
  EXPECT_EQ(nearest("", kKeys), "");
  EXPECT_EQ(nearest("x", kKeys), "");
  EXPECT_EQ(nearest(std::string(5000, 'a'), kKeys), "");
  EXPECT_EQ(did_you_mean("colour", kKeys), "");
}

TEST(Problem, IsOneLineWithPlaceKeyFoundAndAllowed) {
  Report report("h.toml");
  report.add({14, 11}, "a.b", "= \"x\ny\": bad", "good");
  report.add({2, 1}, "c", "unknown key", "");
  report.add({}, "", "gone", "");
  std::vector<Problem> problems = report.take();
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_EQ(problems[0].text(), "h.toml: gone");
  EXPECT_EQ(problems[1].text(), "h.toml:2:1: c: unknown key");
  EXPECT_EQ(problems[2].text(), "h.toml:14:11: a.b = \"x?y\": bad; allowed: good");
}

}  // namespace
}  // namespace holdfast::conf
