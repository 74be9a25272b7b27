#include "ctl/json.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace holdfast::ctl {
namespace {

TEST(Json, NestsWithCommasWhereTheyBelong) {
  Json json;
  json.begin_object().member("a", uint64_t{1}).key("b").begin_array();
  json.begin_object().end_object().value("x").value(true).end_array();
  json.member("c", 0.5).end_object();
  EXPECT_EQ(json.line(), "{\"a\":1,\"b\":[{},\"x\",true],\"c\":0.500}\n");
}

TEST(Json, EveryByteStringBecomesValidJson) {
  for (unsigned c = 0; c < 256; ++c) {
    Json json;
    json.begin_array().value(std::string(1, char(c))).end_array();
    simdjson::dom::parser parser;
    simdjson::dom::element parsed;
    EXPECT_EQ(parser.parse(json.text()).get(parsed), simdjson::SUCCESS) << "byte " << c;
    EXPECT_EQ(json.line().find('\n'), json.line().size() - 1) << "byte " << c;
  }
}

TEST(Json, TextThatIsUtf8ComesBackEqual) {
  std::string text = "q\" b\\ n\n J\xc3\xbcrgen \x01";
  Json json;
  json.begin_array().value(text).end_array();
  simdjson::dom::parser parser;
  std::string_view back;
  ASSERT_EQ(parser.parse(json.text()).at(0).get(back), simdjson::SUCCESS);
  EXPECT_EQ(back, text);
}

}  // namespace
}  // namespace holdfast::ctl
