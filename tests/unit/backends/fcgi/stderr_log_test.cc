// The application's error stream as lines of our log.
#include "worker/backends/fcgi/stderr_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "base/log.h"
#include "tests/unit/backends/fcgi/fake_server.h"

namespace holdfast::fcgi {
namespace {

class FcgiStderrLog : public ::testing::Test {
 protected:
  FcgiStderrLog() { HF_CHECK(bool(open_log({.target = file_}, "test"))); }
  ~FcgiStderrLog() override { HF_CHECK(bool(open_log({}, "test"))); }
  // What was logged, from the level on.
  std::vector<std::string> lines() {
    std::ifstream in(file_);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  bool logged(const std::string& text) {
    for (const std::string& line : lines()) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  TempDir dir_;
  std::string file_ = dir_.path() + "/log";
  std::unique_ptr<shm::StatsBlock> stats_ = std::make_unique<shm::StatsBlock>();
  StderrLog log_{"app", *stats_};
  std::string partial_;
};

TEST_F(FcgiStderrLog, LineBearsBackendAndSession) {
  log_.write(partial_, "PHP message: oops\n", "77aa");
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_TRUE(logged("backend stderr backend=app session=77aa: PHP message: oops"));
  EXPECT_EQ(stats_->backend_stderr_lines.get(), 1u);
}

TEST_F(FcgiStderrLog, LinesAreTheSameInWhateverPiecesTheyCome) {
  std::string text = "first\r\nsecond\n\nthird";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    StderrLog log("app", *stats_);
    uint64_t before = stats_->backend_stderr_lines.get();
    log.write(partial_, std::string_view(text).substr(0, cut), "s");
    log.write(partial_, std::string_view(text).substr(cut), "s");
    EXPECT_EQ(stats_->backend_stderr_lines.get() - before, 2u) << cut;
    log.finish(partial_, "s");
    EXPECT_EQ(stats_->backend_stderr_lines.get() - before, 3u) << cut;
    EXPECT_EQ(partial_, "");
  }
  EXPECT_EQ(lines().size(), 3 * (text.size() + 1));
  EXPECT_TRUE(logged(": first"));
  EXPECT_FALSE(logged("first\\x0d"));
}

TEST_F(FcgiStderrLog, ControlBytesCannotForgeALine) {
  log_.write(partial_, std::string("a\x1b[2Jb\rc\0d\x7f", 11) + "\xc3\xa9\n", "s");
  EXPECT_TRUE(logged("a\\x1b[2Jb\\x0dc\\x00d\\x7f\xc3\xa9"));
}

TEST_F(FcgiStderrLog, LongLineIsCutAndTakesNoMoreMemory) {
  for (int n = 0; n < 1000; ++n) log_.write(partial_, std::string(1000, 'x'), "s");
  EXPECT_LE(partial_.size(), StderrLog::kMaxLineBytes);
  log_.write(partial_, "y\nnext\n", "s");
  EXPECT_EQ(stats_->backend_stderr_lines.get(), 2u);
  EXPECT_TRUE(logged(": " + std::string(StderrLog::kMaxLineBytes, 'x')));
  EXPECT_FALSE(logged("xy"));
  EXPECT_TRUE(logged(": next"));
}

TEST_F(FcgiStderrLog, FloodIsCountedButNotAllLogged) {
  for (int n = 0; n < 10'000; ++n) log_.write(partial_, "again\n", "s");
  EXPECT_EQ(stats_->backend_stderr_lines.get(), 10'000u);
  // However slow this machine is, no second has more than its share and the line that says how many
  // were left out.
  EXPECT_GE(lines().size(), StderrLog::kLinesPerSecond);
  EXPECT_LT(lines().size(), 5'000u);
}

}  // namespace
}  // namespace holdfast::fcgi
