#include "master/pidfile.h"

#include <fmt/format.h>

#include <fstream>

#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/master/forked.h"

namespace holdfast::master {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class PidFileTaken : public testing::Test {
 protected:
  conf::TempDir dir;
  std::string path = dir / "holdfastd.pid";
  // Holds the file until it is killed.
  test::Forked holder{[this] {
    auto file = PidFile::take(path);
    if (!file) return 1;
    pause();
    return 0;
  }};
  std::string holder_line = fmt::format("{}\n", holder.pid());
  void SetUp() override {
    ASSERT_TRUE(test::eventually([&] { return contents(path) == holder_line; }));
  }
};

TEST(PidFile, HoldsOurPidAndGoesAwayAtTheEnd) {
  conf::TempDir dir;
  std::string path = dir / "holdfastd.pid";
  {
    auto file = PidFile::take(path);
    ASSERT_TRUE(file);
    EXPECT_EQ(contents(path), fmt::format("{}\n", getpid()));
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(PidFileTaken, RefusesASecondHolderAndNamesTheFirst) {
  auto second = PidFile::take(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_NE(second.error().text().find(fmt::format("pid {}", holder.pid())), std::string::npos);
  EXPECT_EQ(contents(path), holder_line);
}

TEST_F(PidFileTaken, IsTakenOverFromAKilledHolder) {
  holder.signal(SIGKILL);
  ASSERT_TRUE(test::eventually([&] { return holder.ended(); }));
  EXPECT_EQ(contents(path), holder_line);
  auto file = PidFile::take(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(contents(path), fmt::format("{}\n", getpid()));
}

TEST(PidFile, StaysWhenAChildLetsItGo) {
  conf::TempDir dir;
  std::string path = dir / "holdfastd.pid";
  auto file = PidFile::take(path);
  ASSERT_TRUE(file);
  test::Forked child([&] {
    file->close_in_child();
    { PidFile dropped = *std::move(file); }
    return 0;
  });
  EXPECT_EQ(child.exit_status(), 0);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace holdfast::master
