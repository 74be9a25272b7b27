// What other processes of the workers' user may see of a worker.
#include "master/rights.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/master/forked.h"

namespace holdfast::master {
namespace {

const char kSecret[] = "a key in a worker's memory";

class RightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    auto found = rights_for("nobody");
    ASSERT_TRUE(found) << found.error().text();
    nobody = *found;
  }
  // A process that has taken the rights, and how another of the same user fares that reads its memory: 0, or the error.
  int reading_a_worker(bool core_dumps) {
    conf::TempDir dir;
    std::string ready = dir / "ready";
    std::ofstream note(ready);
    test::Forked worker([&] {
      if (!take_rights(nobody, core_dumps)) return 1;
      note << "ready" << std::flush;
      pause();
      return 0;
    });
    EXPECT_TRUE(test::eventually([&] { return std::ifstream(ready).peek() == 'r'; }));
    test::Forked spy([&] {
      if (!take_rights(nobody, true)) return 200;
      char stolen[sizeof kSecret] = "";
      iovec here{stolen, sizeof stolen}, there{const_cast<char*>(kSecret), sizeof stolen};
      if (process_vm_readv(worker.pid(), &here, 1, &there, 1, 0) == -1) return errno;
      return std::string_view(stolen) == kSecret ? 0 : 201;
    });
    return spy.exit_status();
  }

  Rights nobody;
};

TEST_F(RightsTest, ProcessesOfTheSameUserCannotReadAWorkersMemory) {
  EXPECT_EQ(reading_a_worker(false), EPERM);
}

TEST_F(RightsTest, CoreDumpsAreToBeAskedFor) {
  auto dumpable = [&](bool core_dumps) {
    test::Forked worker(
        [&] { return take_rights(nobody, core_dumps) ? prctl(PR_GET_DUMPABLE) : 9; });
    return worker.exit_status();
  };
  EXPECT_EQ(dumpable(true), 1);
  EXPECT_NE(dumpable(false), 1);
}

}  // namespace
}  // namespace holdfast::master
