// Lists of the API, out of answers that a test has written down.
#include "ctl/lists.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/ctl/view.h"

namespace holdfast::ctl {
namespace {

// Answers by path; anything else is a 404 with an error.
class Answers {
 public:
  explicit Answers(std::map<std::string, HttpAnswer> answers) : answers_(std::move(answers)) {}
  Fetch fetch() {
    return [this](const std::string& path) -> Result<HttpAnswer> {
      asked.push_back(path);
      auto it = answers_.find(path);
      if (it != answers_.end()) return it->second;
      return HttpAnswer{404, R"({"error":{"code":"not_found","message":"no such path"}})"};
    };
  }
  std::vector<std::string> asked;

 private:
  std::map<std::string, HttpAnswer> answers_;
};

struct Printed {
  ExitCode code;
  std::string out, err;
};

Printed print_captured(const Options& options, const Fetch& fetch) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  ExitCode code = print_list(options, fetch);
  std::string out = testing::internal::GetCapturedStdout();
  return {code, out, testing::internal::GetCapturedStderr()};
}

Options list_of(Verb verb, bool json = false) {
  Options options;
  options.verb = verb;
  options.json = json;
  return options;
}

Answers two_pages() {
  return Answers(
      {{"/v1/channels?limit=10000",
        {200, R"({"channels":[{"name":"a","members":1200,"subscribers":1,"published":7}],)"
              R"("more":true,"cursor":"c+1"})"}},
       {"/v1/channels?limit=10000&cursor=c%2B1",
        {200, R"({"channels":[{"name":"b","members":3,"subscribers":0,"published":0}],)"
              R"("more":false})"}}});
}

TEST(CtlLists, EveryPageIsAskedForAndPrinted) {
  Answers answers = two_pages();
  Printed printed = print_captured(list_of(Verb::channels), answers.fetch());
  EXPECT_EQ(printed.code, kOk);
  EXPECT_EQ(printed.out,
            "MEMBERS  SUBSCRIBERS  PUBLISHED  CHANNEL\n"
            "  1,200            1          7  a\n"
            "      3            0          0  b\n");
  EXPECT_EQ(answers.asked.size(), 2u);
}

TEST(CtlLists, JsonOfManyPagesIsOneObjectOnOneLine) {
  Answers answers = two_pages();
  Printed printed = print_captured(list_of(Verb::channels, true), answers.fetch());
  EXPECT_EQ(printed.out,
            R"({"channels":[{"name":"a","members":1200,"subscribers":1,"published":7},)"
            R"({"name":"b","members":3,"subscribers":0,"published":0}],"more":false})"
            "\n");
}

TEST(CtlLists, LimitStopsTheWalkAndIsSaid) {
  Answers answers({{"/v1/channels?limit=1",
                    {200, R"({"channels":[{"name":"a","members":1}],"more":true,"cursor":"x"})"}}});
  Options options = list_of(Verb::channels);
  options.limit = 1;
  Printed printed = print_captured(options, answers.fetch());
  EXPECT_EQ(printed.code, kOk);
  EXPECT_NE(printed.out.find("there are more"), std::string::npos) << printed.out;
  EXPECT_EQ(answers.asked.size(), 1u);
}

TEST(CtlLists, LastPageIsAskedForWithWhatIsLeftOfTheLimit) {
  Answers answers({{"/v1/users?limit=3&prefix=a%26b",
                    {200, R"({"users":[{"name":"a&b1","members":1}],"cursor":"x"})"}},
                   {"/v1/users?limit=2&prefix=a%26b&cursor=x", {200, R"({"users":[]})"}}});
  Options options = list_of(Verb::users, true);
  options.limit = 3;
  options.prefix = "a&b";
  Printed printed = print_captured(options, answers.fetch());
  EXPECT_EQ(printed.code, kOk) << printed.err;
  EXPECT_EQ(printed.out, R"({"users":[{"name":"a&b1","members":1}],"more":false})"
                         "\n");
}

TEST(CtlLists, EmptyPageThatHasACursorIsNotTheEnd) {
  Answers answers(
      {{"/v1/users?limit=10000", {200, R"({"users":[],"cursor":"x"})"}},
       {"/v1/users?limit=10000&cursor=x", {200, R"({"users":[{"name":"ann","members":2}]})"}}});
  EXPECT_EQ(print_captured(list_of(Verb::users), answers.fetch()).out,
            "SESSIONS  USER\n"
            "       2  ann\n");
}

TEST(CtlLists, CursorThatDoesNotMoveEndsTheWalk) {
  Answers answers({{"/v1/users?limit=10000", {200, R"({"users":[],"cursor":"x"})"}},
                   {"/v1/users?limit=10000&cursor=x", {200, R"({"users":[],"cursor":"x"})"}}});
  Printed printed = print_captured(list_of(Verb::users), answers.fetch());
  EXPECT_EQ(printed.code, kFailure);
  EXPECT_NE(printed.err.find("cursor"), std::string::npos) << printed.err;
}

TEST(CtlLists, FailureAmidAListClosesTheJsonAndSaysSo) {
  Answers answers(
      {{"/v1/users?limit=10000", {200, R"({"users":[{"name":"ann","members":2}],"cursor":"x"})"}}});
  Printed printed = print_captured(list_of(Verb::users, true), answers.fetch());
  EXPECT_EQ(printed.code, kFailure);
  ASSERT_TRUE(is_json_line(printed.out)) << printed.out;
  EXPECT_NE(printed.out.find("no such path"), std::string::npos) << printed.out;
  EXPECT_NE(printed.out.find("ann"), std::string::npos) << printed.out;
  EXPECT_EQ(printed.err, "") << "all is said on stdout";
}

TEST(CtlLists, FailureBeforeAnythingIsAnErrorObject) {
  auto gone = [](const std::string&) -> Result<HttpAnswer> {
    return Error{Errc::gone, 0, "nobody\nlistens"};
  };
  Printed json = print_captured(list_of(Verb::users, true), gone);
  EXPECT_EQ(json.out, "{\"error\":{\"code\":\"gone\",\"message\":\"nobody\\nlistens\"}}\n");
  Printed text = print_captured(list_of(Verb::users), gone);
  EXPECT_EQ(text.code, kFailure);
  EXPECT_EQ(text.out, "");
  EXPECT_EQ(text.err, "holdfastctl: nobody\nlistens\n");
}

TEST(CtlLists, WorkerThatHadNoPartMakesItAFailure) {
  Answers answers({{"/v1/users?limit=10000", {200, R"({"users":[],"partial":true})"}}});
  Printed text = print_captured(list_of(Verb::users), answers.fetch());
  EXPECT_EQ(text.code, kFailure);
  EXPECT_NE(text.err.find("not every worker"), std::string::npos);
  Printed json = print_captured(list_of(Verb::users, true), answers.fetch());
  EXPECT_EQ(json.out, "{\"users\":[],\"more\":false,\"partial\":true}\n");
}

TEST(CtlLists, ChannelShowsCountsThenMembersOfAllPages) {
  Answers answers({{"/v1/channels/a%2Fb?limit=1000",
                    {200, R"({"channel":"a/b","members":2,"subscribers":1,)"
                          R"("sessions":[{"session":"01","user":"ann"}],"cursor":"x"})"}},
                   {"/v1/channels/a%2Fb?limit=1000&cursor=x",
                    {200, R"({"channel":"a/b","members":2,"subscribers":1,)"
                          R"("sessions":[{"session":"02","user":""}]})"}}});
  Options options = list_of(Verb::channel);
  options.channels = {"a/b"};
  EXPECT_EQ(print_captured(options, answers.fetch()).out,
            "channel      a/b\nmembers      2\nsubscribers  1\n\n"
            "SESSION  USER\n01       ann\n02       -\n");
  options.json = true;
  EXPECT_EQ(print_captured(options, answers.fetch()).out,
            R"({"channel":"a/b","members":2,"subscribers":1,"sessions":[{"session":"01",)"
            R"("user":"ann"},{"session":"02","user":""}],"more":false})"
            "\n");
}

TEST(CtlLists, UserWhoIsNotThereIsOfflineAndNoFailure) {
  Answers answers({{"/v1/users/ann?limit=1000",
                    {200, R"({"user":"ann","online":false,"members":0,"sessions":[]})"}}});
  Options options = list_of(Verb::user);
  options.users = {"ann"};
  Printed printed = print_captured(options, answers.fetch());
  EXPECT_EQ(printed.code, kOk);
  EXPECT_EQ(printed.out, "user      ann\nonline    no\nsessions  0\n");
}

TEST(CtlLists, NamesThatSteerATerminalDoNot) {
  Answers answers(
      {{"/v1/users?limit=10000", {200, R"({"users":[{"name":"\u001b[31m","members":1}]})"}}});
  EXPECT_EQ(print_captured(list_of(Verb::users), answers.fetch()).out,
            "SESSIONS  USER\n       1  ?[31m\n");
}

}  // namespace
}  // namespace holdfast::ctl
