#include "wire/json/writer.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace holdfast::json {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_string(out, text);
  return out;
}

TEST(JsonString, EscapesWhatJsonAsksForAndNothingElse) {
  EXPECT_EQ(as_json(""), R"("")");
  EXPECT_EQ(as_json("a\"b\\c/"), R"("a\"b\\c/")");
  EXPECT_EQ(as_json("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  EXPECT_EQ(as_json(std::string_view("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\x7f\"");
  EXPECT_EQ(as_json("ü😀"), "\"ü😀\"");
}

TEST(JsonString, IsValidForEveryByteAndReadsBackWhereTheTextIsUtf8) {
  simdjson::dom::parser parser;
  for (int c = 0; c < 256; ++c) {
    std::string text = {'<', char(c), '>'};
    std::string_view back;
    ASSERT_EQ(parser.parse(as_json(text)).get(back), simdjson::SUCCESS) << c;
    EXPECT_EQ(back, c < 0x80 ? text : "<\xef\xbf\xbd>") << c;
  }
}

TEST(JsonWriter, PutsCommasBetweenMembersOnly) {
  Writer json;
  json.begin_object();
  json.key("a").number(1);
  json.key("b").begin_array().string("x").boolean(false).begin_object().end_object().end_array();
  json.key("c").begin_array().end_array();
  json.key("d").number(UINT64_MAX);
  json.end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":["x",false,{}],"c":[],"d":18446744073709551615})");
}

TEST(JsonWriter, TakesTheMembersOfAnotherObject) {
  Writer json;
  json.begin_object().members_of("{}").key("a").number(1);
  json.members_of(R"({"b":[2],"c":{}})").members_of("{}").key("d").number(3).end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":[2],"c":{},"d":3})");
  Writer first;
  first.begin_object().members_of(R"({"b":2})").end_object();
  EXPECT_EQ(first.take(), R"({"b":2})");
}

}  // namespace
}  // namespace holdfast::json
