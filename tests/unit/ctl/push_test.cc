#include "ctl/push.h"

#include <gtest/gtest.h>

#include "ctl/control.h"
#include "ctl/push_answer.h"

namespace holdfast::ctl {
namespace {

Options order(Verb verb) {
  Options options;
  options.verb = verb;
  return options;
}

TEST(CtlPush, SendNamesSessionsAndData) {
  Options options = order(Verb::send);
  options.sessions = {"a", "b"};
  EXPECT_EQ(api_path(options), "/v1/send");
  EXPECT_EQ(api_body(options, "x\"y"), "{\"sessions\":[\"a\",\"b\"],\"data\":\"x\\\"y\"}");
}

TEST(CtlPush, BinaryDataTravelsAsBase64) {
  Options options = order(Verb::publish);
  options.channel = "room";
  options.binary = true;
  EXPECT_EQ(api_body(options, std::string("\xff\x00\x01\x02", 4)),
            "{\"channels\":[\"room\"],\"data_base64\":\"/wABAg==\",\"binary\":true}");
  EXPECT_EQ(api_body(options, ""),
            "{\"channels\":[\"room\"],\"data_base64\":\"\",\"binary\":true}");
}

TEST(CtlPush, TextMustBeUtf8UnlessBinary) {
  Options options = order(Verb::send);
  EXPECT_FALSE(check_data(options, "\xff"));
  EXPECT_TRUE(check_data(options, "J\xc3\xbcrgen"));
  options.binary = true;
  EXPECT_TRUE(check_data(options, "\xff"));
}

TEST(CtlPush, KickCarriesOnlyWhatWasSaid) {
  Options options = order(Verb::kick);
  options.channel = "room";
  EXPECT_EQ(api_body(options, ""), "{\"channels\":[\"room\"]}");
  options.code = 4001;
  options.reason = "bye";
  EXPECT_EQ(api_body(options, ""), "{\"channels\":[\"room\"],\"code\":4001,\"reason\":\"bye\"}");
}

TEST(CtlPush, ChannelsIsAQueryWithItsPrefixEncoded) {
  Options options = order(Verb::channels);
  options.limit = 7;
  EXPECT_EQ(api_body(options, ""), "");
  EXPECT_EQ(api_path(options), "/v1/channels?limit=7");
  options.prefix = "a&b/\xc3\xbc";
  EXPECT_EQ(api_path(options), "/v1/channels?limit=7&prefix=a%26b%2F%C3%BC");
}

TEST(CtlPush, DeliveredIsSuccess) {
  Result<Outcome> one = judge_answer(Verb::send, 200, R"({"delivered":1,"unknown":[]})");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->code, kOk);
  EXPECT_EQ(one->text, "delivered to 1 session\n");
  EXPECT_EQ(one->trouble, "");
  Result<Outcome> none = judge_answer(Verb::publish, 200, R"({"delivered":0})");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->code, kOk);
  EXPECT_EQ(none->text, "delivered to 0 sessions\n");
}

TEST(CtlPush, WhatWasNotDoneIsAFailure) {
  for (const char* body :
       {R"({"delivered":1,"unknown":["ab"]})", R"({"delivered":1,"failed":["ab"]})",
        R"({"delivered":1,"workers_failed":2})", R"({"delivered":1,"partial":true})"}) {
    Result<Outcome> outcome = judge_answer(Verb::send, 200, body);
    ASSERT_TRUE(outcome) << body;
    EXPECT_EQ(outcome->code, kFailure) << body;
    EXPECT_NE(outcome->trouble, "") << body;
    EXPECT_EQ(outcome->json, std::string(body) + "\n");
  }
}

TEST(CtlPush, RefusalSaysWhatTheServerSaid) {
  Result<Outcome> outcome = judge_answer(
      Verb::send, 413, "{\"error\":{\"code\":\"too_large\",\n\"message\":\"too much\x1b\"}}");
  EXPECT_FALSE(outcome) << "a raw control character is no JSON";
  outcome = judge_answer(Verb::send, 413,
                         "{\"error\":{\"code\":\"too_large\",\n\"message\":\"too \\u001bmuch\"}}");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->code, kFailure);
  EXPECT_EQ(outcome->trouble, "refused with status 413 (too_large): too ?much");
  EXPECT_EQ(outcome->json.find('\n'), outcome->json.size() - 1);
}

TEST(CtlPush, AnswersThatAreNoJsonObjectAreErrors) {
  EXPECT_FALSE(judge_answer(Verb::send, 200, ""));
  EXPECT_FALSE(judge_answer(Verb::send, 502, "<html>"));
  EXPECT_FALSE(judge_answer(Verb::send, 200, "[]"));
}

TEST(CtlPush, ChannelsAreATable) {
  Result<Outcome> outcome = judge_answer(
      Verb::channels, 200, R"({"channels":[{"name":"a","members":1200}],"more":true})");
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->text.starts_with("MEMBERS  CHANNEL\n  1,200  a\n"));
  EXPECT_NE(outcome->text.find("--limit"), std::string::npos);
}

TEST(CtlControl, FirstLineDecides) {
  Result<ControlAnswer> ok =
      parse_control_answer("ok reloaded, generation 2\nworker 0\nworker 1\n");
  ASSERT_TRUE(ok);
  EXPECT_TRUE(ok->ok);
  EXPECT_EQ(ok->text, "reloaded, generation 2");
  EXPECT_EQ(ok->details, (std::vector<std::string>{"worker 0", "worker 1"}));
  Result<ControlAnswer> error =
      parse_control_answer("error bad configuration\nx.toml:1:2: nonsense");
  ASSERT_TRUE(error);
  EXPECT_FALSE(error->ok);
  EXPECT_EQ(error->details.size(), 1u);
}

TEST(CtlControl, AnswersThatAreNeitherAreRefused) {
  EXPECT_FALSE(parse_control_answer(""));
  EXPECT_FALSE(parse_control_answer("okay\n"));
  EXPECT_FALSE(parse_control_answer("hello\nok\n"));
  EXPECT_TRUE(parse_control_answer("ok"));
}

TEST(CtlControl, JsonHasTheDetails) {
  EXPECT_EQ(control_json({false, "no", {"a:1: \"b\""}}),
            "{\"ok\":false,\"text\":\"no\",\"details\":[\"a:1: \\\"b\\\"\"]}\n");
}

}  // namespace
}  // namespace holdfast::ctl
