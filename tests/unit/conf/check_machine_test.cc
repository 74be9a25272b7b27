// What a configuration wants of the machine it is for: said at the key, without leaving a trace.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "conf/load.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/conf/wrong.h"

namespace holdfast::conf {
namespace {

const std::string kListen = "[[listen]]\naddress = '127.0.0.1:0'\nbackend = 'echo'\n";

Loaded with_target(const std::string& target, const TempDir& dir, Machine machine = Machine::ours) {
  return load_text("[log]\ntarget = \"" + target + "\"\n" + kListen, dir / "h.toml", machine);
}

std::string problem_of(const Loaded& loaded, const std::string& key) {
  EXPECT_EQ(loaded.problems.size(), 1u) << all_of(loaded);
  if (loaded.problems.empty()) return "no problem";
  EXPECT_EQ(loaded.problems[0].key, key);
  EXPECT_EQ(loaded.problems[0].line, 2u);
  return loaded.problems[0].what;
}

TEST(CheckMachine, WantsTheUserOfTheWorkersToExist) {
  std::string nobody = "[server]\nuser = 'no-such-user-here'\n" + kListen;
  EXPECT_EQ(problem_of(load_text(nobody, "/h.toml", Machine::ours), "server.user"),
            "= 'no-such-user-here': no such user");
  EXPECT_TRUE(load_text(nobody, "/h.toml"));
  Loaded root = load_text("server.user = 'root'\n" + kListen, "/h.toml", Machine::ours);
  EXPECT_TRUE(root) << all_of(root);
  Loaded same = load_text(kListen, "/h.toml", Machine::ours);
  EXPECT_TRUE(same) << all_of(same);
}

TEST(CheckMachine, WantsAFolderForTheLogAndMakesNeitherIt) {
  TempDir dir;
  EXPECT_NE(problem_of(with_target("logs/a.log", dir), "log.target")
                .find(dir / "logs: No such file or directory"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(dir / "logs"));
  EXPECT_TRUE(with_target("logs/a.log", dir, Machine::any));
}

TEST(CheckMachine, TakesALogThatIsThereOrCanBeMadeAndLeavesItAlone) {
  TempDir dir;
  EXPECT_TRUE(with_target("new.log", dir));
  EXPECT_FALSE(std::filesystem::exists(dir / "new.log"));
  dir.write("old.log", "before\n");
  EXPECT_TRUE(with_target("old.log", dir));
  EXPECT_EQ(std::filesystem::file_size(dir / "old.log"), 7u);
  EXPECT_TRUE(with_target("stderr", dir));
  EXPECT_TRUE(with_target("/dev/null", dir));
}

TEST(CheckMachine, RefusesAFolderAndAFileInAFile) {
  TempDir dir;
  std::filesystem::create_directory(dir / "logs");
  dir.write("file", "");
  EXPECT_NE(problem_of(with_target("logs", dir), "log.target").find("a folder"), std::string::npos);
  EXPECT_NE(problem_of(with_target("file/a.log", dir), "log.target").find("Not a directory"),
            std::string::npos);
  EXPECT_NE(problem_of(with_target("a\\u0000b", dir), "log.target").find("cannot contain NUL"),
            std::string::npos);
}

// Root may write everywhere; so somebody else for a while.
class AsNobody {
 public:
  AsNobody() : changed_(geteuid() == 0 && seteuid(65'534) == 0) {}
  ~AsNobody() { EXPECT_EQ(changed_ ? seteuid(0) : 0, 0); }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool changed_;
};

TEST(CheckMachine, RefusesALogItMayNotWriteTo) {
  TempDir dir;
  dir.write("a.log", "", 0400);
  std::filesystem::create_directory(dir / "logs");
  ASSERT_EQ(chmod((dir / "logs").c_str(), 0555), 0);
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  AsNobody nobody;
  for (const char* target : {"a.log", "logs/b.log"}) {
    EXPECT_NE(problem_of(with_target(target, dir), "log.target").find("Permission denied"),
              std::string::npos)
        << target;
  }
}

}  // namespace
}  // namespace holdfast::conf
