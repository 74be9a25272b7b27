// The kept messages of a channel, out of answers that a test has written down.
#include "ctl/history.h"

#include <gtest/gtest.h>

#include <deque>

namespace holdfast::ctl {
namespace {

// One answer after the other.
class Answers {
 public:
  explicit Answers(std::deque<HttpAnswer> answers) : answers_(std::move(answers)) {}
  Fetch fetch() {
    return [this](const std::string& path) -> Result<HttpAnswer> {
      asked.push_back(path);
      if (answers_.empty()) return Error{Errc::gone, 0, "nobody listens"};
      HttpAnswer answer = answers_.front();
      answers_.pop_front();
      return answer;
    };
  }
  std::vector<std::string> asked;

 private:
  std::deque<HttpAnswer> answers_;
};

HttpAnswer page(const std::string& position, const std::string& messages, bool more,
                bool complete = true) {
  return {200, R"({"channel":"a/b","history":{"position":")" + position +
                   R"(","first":1,"messages":2,"bytes":96,"early":0},"complete":)" +
                   (complete ? "true" : "false") + R"(,"messages":[)" + messages + R"(],"more":)" +
                   (more ? "true" : "false") + "}"};
}

const std::string kOne = R"({"position":"yQkMXkWu:1","time_ms":0,"data":"one\u001b"})";
const std::string kTwo = R"({"position":"yQkMXkWu:2","time_ms":0,"data_base64":"/wA="})";

Options history(bool json = false) {
  Options options;
  options.verb = Verb::history;
  options.channels = {"a/b"};
  options.json = json;
  return options;
}

struct Printed {
  ExitCode code;
  std::string out, err;
};

template <class Run>
Printed captured(Run run) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  ExitCode code = run();
  std::string out = testing::internal::GetCapturedStdout();
  return {code, out, testing::internal::GetCapturedStderr()};
}

TEST(CtlHistory, EveryPageIsAskedForAfterTheLastMessage) {
  Answers answers({page("yQkMXkWu:2", kOne, true), page("yQkMXkWu:2", kTwo, false)});
  Printed printed = captured([&] { return print_history(history(), answers.fetch()); });
  EXPECT_EQ(printed.code, kOk);
  EXPECT_EQ(answers.asked,
            (std::vector<std::string>{"/v1/channels/a%2Fb/history?limit=1000",
                                      "/v1/channels/a%2Fb/history?limit=1000&since=yQkMXkWu%3A1"}));
  EXPECT_NE(printed.out.find("yQkMXkWu:1  -  one?\n"), std::string::npos) << printed.out;
  EXPECT_NE(printed.out.find("yQkMXkWu:2  -  (2 B, binary)\n"), std::string::npos) << printed.out;
  EXPECT_NE(printed.out.find("2, 96 B"), std::string::npos) << printed.out;
}

TEST(CtlHistory, JsonIsOneObject) {
  Answers answers({page("yQkMXkWu:2", kOne, true), page("yQkMXkWu:2", kTwo, false)});
  Printed printed = captured([&] { return print_history(history(true), answers.fetch()); });
  EXPECT_EQ(
      printed.out,
      R"({"channel":"a/b","history":{"position":"yQkMXkWu:2","first":1,"messages":2,"bytes":96,)"
      R"("early":0},"complete":true,"messages":[)" +
          kOne + "," + kTwo + R"(],"more":false})" + "\n");
}

TEST(CtlHistory, ALimitEndsItAndSaysSo) {
  Answers answers({page("yQkMXkWu:2", kTwo, true)});
  Options options = history();
  options.limit = 1;
  options.reverse = true;
  options.since = "yQkMXkWu:3";
  Printed printed = captured([&] { return print_history(options, answers.fetch()); });
  EXPECT_EQ(printed.code, kOk);
  EXPECT_EQ(answers.asked, (std::vector<std::string>{"/v1/channels/a%2Fb/history?limit=1&reverse="
                                                     "true&since=yQkMXkWu%3A3"}));
  EXPECT_NE(printed.out.find("there are more"), std::string::npos) << printed.out;
}

TEST(CtlHistory, MessagesThatGoWhileItReadsAreReported) {
  Answers answers({page("yQkMXkWu:3", kOne, true), page("yQkMXkWu:3", kTwo, false, false)});
  Printed printed = captured([&] { return print_history(history(true), answers.fetch()); });
  EXPECT_EQ(printed.code, kFailure);
  EXPECT_NE(printed.out.find(R"("more":false,"partial":true})"), std::string::npos) << printed.out;
}

TEST(CtlHistory, ARefusalIsAFailure) {
  Answers answers({{404, R"({"error":{"code":"no_history","message":"not kept"}})"}});
  Printed printed = captured([&] { return print_history(history(), answers.fetch()); });
  EXPECT_EQ(printed.code, kFailure);
  EXPECT_NE(printed.err.find("no_history"), std::string::npos) << printed.err;
}

TEST(CtlHistory, FollowingGoesOnAndSaysWhatIsMissing) {
  Answers answers({page("yQkMXkWu:1", kOne, false), page("yQkMXkWu:1", "", false),
                   page("yQkMXkWu:9", "", false, false), page("yQkMXkWu:9", "", false)});
  int looks = 0;
  Printed printed = captured(
      [&] { return follow_history(history(true), answers.fetch(), [&] { return ++looks < 4; }); });
  EXPECT_EQ(printed.code, kOk);
  EXPECT_EQ(printed.out, kOne + "\n" + R"({"missed":true,"position":"yQkMXkWu:9"})" + "\n");
  EXPECT_EQ(answers.asked.back(), "/v1/channels/a%2Fb/history?limit=1000&since=yQkMXkWu%3A9");
}

}  // namespace
}  // namespace holdfast::ctl
