#include "base/log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/check.h"
#include "tests/unit/conf/temp_dir.h"

namespace holdfast {
namespace {

class Log : public testing::Test {
 protected:
  ~Log() override { HF_CHECK(bool(open_log({}, "test"))); }
  // What these lines look like in a file.
  template <class F>
  std::string written(bool json, F&& lines) {
    HF_CHECK(bool(open_log({LogLevel::debug, dir_ / "log", json}, "worker 3")));
    lines();
    std::ifstream file(dir_ / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  conf::TempDir dir_;
};

// A level is called the same in the configuration, in a text line and in JSON.
TEST_F(Log, LevelsHaveOneNameEach) {
  auto lines = [] {
    log_debug("a");
    log_info("b");
    log_warn("c");
    log_error("d");
  };
  std::string json = written(true, lines);
  for (const char* part : {R"("level":"debug","message":"a"})", R"("level":"info","message":"b"})",
                           R"("level":"warn","message":"c"})", R"("level":"error","message":"d"})"})
    EXPECT_NE(json.find(part), std::string::npos) << json;
  std::string text = written(false, lines);
  EXPECT_NE(text.find(" warn  c\n"), std::string::npos) << text;
}

TEST_F(Log, IsNotOpenedInAFolderThatIsNotThere) {
  Result<void> opened = open_log({LogLevel::info, dir_ / "logs/log", false}, "test");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text(),
            fmt::format("open log {0}/log: folder {0}: No such file or directory", dir_ / "logs"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "logs"));
}

TEST_F(Log, AloudGoesToStderrToo) {
  testing::internal::CaptureStderr();
  std::string line = written(false, [] { log_aloud("not started:\nno port"); });
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "not started: no port\n");
  EXPECT_TRUE(line.ends_with(" error not started: no port\n")) << line;
}

TEST_F(Log, AloudIsSaidOnceWhereTheLogIsStderr) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(open_log({}, "test"));
  log_aloud("once");
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.ends_with(" error once\n")) << said;
  EXPECT_EQ(said.find("once"), said.rfind("once"));
}

TEST_F(Log, JsonLineNamesItsProcessAndEscapesItsMessage) {
  std::string json = written(true, [] { log_info("said=\"{}\"", "x\n\\"); });
  EXPECT_TRUE(json.starts_with(R"({"time":")")) << json;
  EXPECT_NE(json.find(R"("process":"worker 3","pid":)"), std::string::npos) << json;
  EXPECT_TRUE(json.ends_with(R"("message":"said=\"x\u000a\\\""})"
                             "\n"))
      << json;
}

}  // namespace
}  // namespace holdfast
