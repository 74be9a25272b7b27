// What holdfastctl says of a counter, and that counters.def says enough of each.
#include "ctl/counters.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>

#include "ctl/units.h"
#include "shm/stats.h"
#include "tests/unit/ctl/view.h"

namespace holdfast::ctl {
namespace {

std::vector<size_t> found(const std::vector<std::string>& names) {
  Result<std::vector<size_t>> which = find_counters(names);
  return which ? *which : std::vector<size_t>();
}

std::set<std::string_view> names_of(const std::vector<size_t>& which) {
  std::set<std::string_view> names;
  for (size_t i : which) names.insert(shm::all_stats()[i].name);
  return names;
}

// "" where a text is fit to be read: by a table, in the help of a metric, in a manual page.
std::string objection(std::string_view text) {
  if (text.empty()) return "is empty";
  if (!std::isupper(uint8_t(text[0]))) return "does not begin with a capital";
  if (text.find("hoever") != std::string_view::npos || text.find("  ") != std::string_view::npos)
    return "has \"whoever\" or two blanks in it";
  for (char c : text)
    if (c < ' ' || c > '~' || c == '\\') return "has a character that is not plain ASCII";
  return "";
}

TEST(CountersDef, EverySentenceIsACapitalNounWithoutAStop) {
  for (const shm::StatInfo& info : shm::all_stats()) {
    EXPECT_EQ(objection(info.sentence), "") << info.name;
    EXPECT_TRUE(info.sentence.find_last_of(".:;,") != info.sentence.size() - 1) << info.name;
    EXPECT_EQ(info.sentence.find(" who "), std::string_view::npos) << info.name;
    EXPECT_LE(info.sentence.size(), 100u) << info.name << ": the rest belongs in the paragraph";
  }
}

TEST(CountersDef, EveryParagraphExplainsItsCounter) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < shm::all_stats().size(); ++i) {
    std::string_view paragraph = paragraph_of(i), name = shm::all_stats()[i].name;
    ASSERT_GE(paragraph.size(), 40u) << name;
    EXPECT_EQ(objection(paragraph), "") << name;
    EXPECT_EQ(paragraph.back(), '.') << name;
    EXPECT_TRUE(seen.insert(paragraph).second) << name << ": another counter's";
  }
}

TEST(CtlCounters, WithoutANameAreAll) {
  EXPECT_EQ(found({}).size(), shm::all_stats().size());
}

TEST(CtlCounters, ANameIsThatOfACounterOrOfAGroup) {
  EXPECT_EQ(names_of(found({"sessions.online"})), std::set<std::string_view>{"sessions.online"});
  EXPECT_EQ(names_of(found({"pings", "pings.sent"})),
            (std::set<std::string_view>{"pings.sent", "pings.answered"}));
  EXPECT_EQ(found({"pings", "pings.sent"}).size(), 2u) << "each once";
}

TEST(CtlCounters, AnUnknownNameIsToldWithTheNearest) {
  Result<std::vector<size_t>> which = find_counters({"pings", "sesions.online"});
  ASSERT_FALSE(which);
  EXPECT_EQ(which.error().code, Errc::bad_input);
  EXPECT_NE(which.error().text().find("did you mean \"sessions.online\"?"), std::string::npos);
  EXPECT_FALSE(find_counters({"sessions."}));
  EXPECT_FALSE(find_counters({""}));
}

TEST(CtlCounters, TableNamesKindUnitAndMeaning) {
  std::string text = counters_table(found({"bytes.unsent", "sessions.opened"}));
  EXPECT_EQ(text,
            "NAME             KIND     UNIT   MEANING\n"
            "sessions.opened  counter  count  Sessions opened\n"
            "bytes.unsent     gauge    bytes  Bytes that wait to be sent to clients and API "
            "callers\n");
}

TEST(CtlCounters, AnExplanationHasTheParagraphOfItsCounter) {
  std::string text = counters_explained(found({"pages.served"}));
  EXPECT_EQ(text,
            "pages.served (counter, count)\n"
            "    Requests for the page of a listener.\n\n"
            "    It counts each GET or HEAD of / at a [[listen]] that has a page.\n");
}

TEST(CtlCounters, NothingIsWiderThanTheTerminal) {
  for (size_t width : {60u, 80u, 200u}) {
    std::string text = counters_explained(found({}), {.width = width});
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
      EXPECT_LE(display_width(text.substr(at, text.find('\n', at) - at)),
                std::min<size_t>(80, width));
  }
}

TEST(CtlCounters, JsonHasAllPartsOfEach) {
  std::string json = counters_json(found({}));
  ASSERT_TRUE(is_json_line(json)) << json;
  simdjson::dom::parser parser;
  simdjson::dom::array counters = parser.parse(json)["counters"];
  ASSERT_EQ(counters.size(), shm::all_stats().size());
  for (simdjson::dom::element counter : counters)
    for (const char* part : {"name", "kind", "unit", "sentence", "paragraph"})
      EXPECT_FALSE(counter[part].get_string().value().empty()) << part;
}

}  // namespace
}  // namespace holdfast::ctl
