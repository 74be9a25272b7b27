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
  EXPECT_EQ(api_path(Verb::send), "/v1/send");
  EXPECT_EQ(api_body(options, "x\"y"), R"({"sessions":["a","b"],"data":"x\"y"})");
}

TEST(CtlPush, BinaryDataTravelsAsBase64) {
  Options options = order(Verb::publish);
  options.channels = {"room"};
  options.binary = true;
  EXPECT_EQ(api_body(options, std::string("\xff\x00\x01\x02", 4)),
            R"({"channels":["room"],"data_base64":"/wABAg==","binary":true})");
  EXPECT_EQ(api_body(options, ""), R"({"channels":["room"],"data_base64":"","binary":true})");
}

TEST(CtlPush, TextMustBeUtf8UnlessBinary) {
  Options options = order(Verb::send);
  EXPECT_FALSE(check_message(options, "\xff"));
  EXPECT_TRUE(check_message(options, "J\xc3\xbcrgen"));
  options.binary = true;
  EXPECT_TRUE(check_message(options, "\xff"));
}

TEST(CtlPush, KickCarriesOnlyWhatWasSaid) {
  Options options = order(Verb::kick);
  options.channels = {"room"};
  EXPECT_EQ(api_body(options, ""), R"({"channels":["room"]})");
  options.code = 4001;
  options.reason = "bye";
  options.exclude = {"ab"};
  options.key = "k1";
  EXPECT_EQ(api_body(options, ""),
            R"({"channels":["room"],"exclude":["ab"],"code":4001,"reason":"bye","id":"k1"})");
}

TEST(CtlPush, CallsThatConcernOneSessionNameOne) {
  Options options = order(Verb::bind);
  options.sessions = {"ab"};
  options.users = {"ann"};
  EXPECT_EQ(api_body(options, ""), R"({"session":"ab","user":"ann"})");
  options.verb = Verb::unbind;
  options.users.clear();
  EXPECT_EQ(api_body(options, ""), R"({"session":"ab"})");
}

TEST(CtlPush, DataIsSetOrMerged) {
  Options options = order(Verb::data);
  options.sessions = {"ab"};
  options.action = DataAction::set;
  EXPECT_EQ(api_body(options, ""), R"({"session":"ab","set":{}})");
  options.action = DataAction::merge;
  options.pairs = {{"k", "v"}, {"gone", ""}};
  EXPECT_EQ(api_body(options, ""), R"({"session":"ab","merge":{"k":"v","gone":""}})");
}

TEST(CtlPush, EveryVerbThatChangesHasAPath) {
  for (auto [verb, path] : {std::pair{Verb::send_user, "/v1/send-user"},
                            {Verb::send_all, "/v1/send-all"},
                            {Verb::publish, "/v1/publish"},
                            {Verb::join, "/v1/join"},
                            {Verb::leave, "/v1/leave"},
                            {Verb::bind, "/v1/bind"},
                            {Verb::unbind, "/v1/unbind"},
                            {Verb::data, "/v1/data"},
                            {Verb::kick, "/v1/kick"},
                            {Verb::batch, "/v1/batch"}})
    EXPECT_EQ(api_path(verb), path);
  EXPECT_EQ(api_path(Verb::stats), "");
}

Result<Outcome> judged(const Options& options, int status, const std::string& body,
                       size_t body_bytes = 0) {
  return judge_answer({options, body_bytes}, status, body);
}
Result<Outcome> judged(Verb verb, int status, const std::string& body) {
  return judged(order(verb), status, body);
}

TEST(CtlPush, DeliveredIsSuccess) {
  Result<Outcome> one = judged(Verb::send, 200, R"({"delivered":1,"unknown":[]})");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->code, kOk);
  EXPECT_EQ(one->text, "delivered to 1 session\n");
  EXPECT_EQ(one->trouble, "");
  Result<Outcome> none = judged(Verb::publish, 200, R"({"delivered":0})");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->code, kOk);
  EXPECT_EQ(none->text, "delivered to 0 sessions\n");
}

TEST(CtlPush, LeaveSaysWhatIsTrueOfOneThatWasNoMemberToo) {
  Options options = order(Verb::leave);
  options.channels = {"room"};
  EXPECT_EQ(judged(options, 200, R"({"delivered":1})")->text, "1 session is not in room now\n");
  options.channels = {"room", "x", "y"};
  EXPECT_EQ(judged(options, 200, R"({"delivered":2})")->text,
            "2 sessions are not in room and 2 more now\n");
}

TEST(CtlPush, WhatWasNotDoneIsAFailure) {
  for (const char* body :
       {R"({"delivered":1,"unknown":["ab"]})", R"({"delivered":1,"failed":["ab"]})",
        R"({"delivered":1,"workers_failed":2})", R"({"delivered":1,"refused":1})",
        R"({"delivered":1,"partial":true})"}) {
    Result<Outcome> outcome = judged(Verb::send, 200, body);
    ASSERT_TRUE(outcome) << body;
    EXPECT_EQ(outcome->code, kFailure) << body;
    EXPECT_NE(outcome->trouble, "") << body;
    EXPECT_EQ(outcome->json, std::string(body) + "\n");
  }
}

TEST(CtlPush, RefusalSaysWhatTheServerSaid) {
  Result<Outcome> outcome = judged(
      Verb::send, 413, "{\"error\":{\"code\":\"too_large\",\n\"message\":\"too much\x1b\"}}");
  EXPECT_FALSE(outcome) << "a raw control character is no JSON";
  outcome = judged(Verb::send, 413,
                   "{\"error\":{\"code\":\"too_large\",\n\"message\":\"too \\u001bmuch\"}}");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->code, kFailure);
  EXPECT_EQ(outcome->trouble, "refused with status 413: too_large: too ?much");
  EXPECT_EQ(outcome->json.find('\n'), outcome->json.size() - 1);
}

TEST(CtlPush, RequestThatTheSocketDoesNotTakeNamesItsLimit) {
  Result<Outcome> outcome =
      judged(order(Verb::publish), 413,
             R"({"error":{"code":"too_large","message":"body too large"}})", 2'000'000);
  ASSERT_TRUE(outcome);
  EXPECT_NE(outcome->trouble.find("2,000,000 bytes"), std::string::npos) << outcome->trouble;
  EXPECT_NE(outcome->trouble.find("1 MiB"), std::string::npos) << outcome->trouble;
}

TEST(CtlPush, BatchIsJudgedCommandByCommand) {
  Result<Outcome> outcome =
      judged(Verb::batch, 200,
             R"({"results":[{"status":200,"delivered":1},{"status":200,"unknown":["ab"]},)"
             R"({"status":400,"error":{"code":"bad_request","message":"op"}}]})");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->code, kFailure);
  EXPECT_EQ(outcome->text, "1 of 3 commands carried out as asked\n");
  EXPECT_EQ(outcome->trouble,
            "command 2: no session ab\ncommand 3: refused with status 400: bad_request: op");
}

TEST(CtlPush, AnswersThatAreNoJsonObjectAreErrors) {
  EXPECT_FALSE(judged(Verb::send, 200, ""));
  EXPECT_FALSE(judged(Verb::send, 502, "<html>"));
  EXPECT_FALSE(judged(Verb::send, 200, "[]"));
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
