#include "worker/sessions/end_reason.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {
namespace {

struct Line {
  std::string name;
  EndReason reason;
};

const std::vector<Line>& lines() {
  static const std::vector<Line> all = {
#define HF_END_REASON(name, number, text, counter, code) {#name, EndReason::name},
#include "worker/sessions/end_reason.def"
#undef HF_END_REASON
  };
  return all;
}

// A process of this version takes over sessions of the last one, and gives them to the next.
TEST(EndReasons, KeepTheNumbersThatTravel) {
  std::map<std::string, int> numbers;
  for (const Line& line : lines()) numbers[line.name] = int(line.reason);
  EXPECT_EQ(numbers, (std::map<std::string, int>{{"client_closed", 0},
                                                 {"connection_lost", 1},
                                                 {"idle", 2},
                                                 {"slow", 3},
                                                 {"kicked", 4},
                                                 {"protocol", 5},
                                                 {"backend", 6},
                                                 {"stop", 7},
                                                 {"reload", 8},
                                                 {"refused", 9},
                                                 {"crashed", 10},
                                                 {"limit", 11},
                                                 {"expired", 12}}));
}

TEST(EndReasons, AreToldApartByTheirTexts) {
  std::set<std::string_view> texts;
  for (const Line& line : lines()) texts.insert(end_reason_text(line.reason));
  EXPECT_EQ(texts.size(), lines().size());
  EXPECT_EQ(texts.count("unknown"), 0u);
}

TEST(EndReasons, OfANewerVersionAreUnknownHere) {
  EndReasonFacts facts = facts_of(EndReason(200));
  EXPECT_EQ(facts.text, "unknown");
  EXPECT_EQ(facts.counter, nullptr);
  EXPECT_EQ(facts.code, 1006);
}

}  // namespace
}  // namespace holdfast
