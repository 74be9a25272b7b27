#include "master/pidfile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

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

TEST(PidFile, IsNobodyElsesToOpen) {
  conf::TempDir dir;
  std::string path = dir / "holdfastd.pid";
  { std::ofstream(path) << "1\n"; }
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);  // as versions before left it
  auto file = PidFile::take(path);
  ASSERT_TRUE(file);
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// Who may read a file may lock it for reading: that must not keep a master from starting.
TEST(PidFile, AReadersLockDoesNotStopAMaster) {
  conf::TempDir dir;
  std::string path = dir / "holdfastd.pid", ready = dir / "ready";
  { std::ofstream(path) << "1\n"; }
  test::Forked reader([&] {
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    if (fd == -1 || fcntl(fd, F_SETLK, &lock) != 0) return 1;
    std::ofstream(ready) << "ready";
    pause();
    return 0;
  });
  ASSERT_TRUE(test::eventually([&] { return contents(ready) == "ready"; }));
  auto file = PidFile::take(path);
  ASSERT_TRUE(file) << file.error().text();
  // And it holds what it has taken. (Reading the file in this process would let go of it.)
  test::Forked second([&] { return PidFile::take(path) ? 1 : 0; });
  EXPECT_EQ(second.exit_status(), 0);
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
