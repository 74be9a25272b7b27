// Over trees as /proc and /sys/fs/cgroup show them.
#include "base/cgroup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/unit/conf/temp_dir.h"

namespace holdfast {
namespace {

class Cgroup : public testing::Test {
 protected:
  void file(const std::string& path, const std::string& text) {
    std::filesystem::path whole = root_.path() + "/" + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  CgroupLimits limits() { return cgroup_limits(root_.path()); }
  unsigned cpus() { return usable_cpus(root_.path()); }
  unsigned all_cpus() { return usable_cpus("/nowhere"); }

  conf::TempDir root_;
};

TEST_F(Cgroup, NoneIsNoLimit) {
  EXPECT_FALSE(limits().memory_bytes);
  EXPECT_FALSE(limits().cpus);
  EXPECT_GE(cpus(), 1u);
}

TEST_F(Cgroup, Version2AsInAContainer) {
  file("proc/self/cgroup", "0::/\n");
  file("sys/fs/cgroup/memory.max", "268435456\n");
  file("sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(limits().memory_bytes, 268435456u);
  EXPECT_EQ(limits().cpus, 1.5);
}

TEST_F(Cgroup, Version2MaxIsNoLimit) {
  file("proc/self/cgroup", "0::/a\n");
  file("sys/fs/cgroup/a/memory.max", "max\n");
  file("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_FALSE(limits().memory_bytes);
  EXPECT_FALSE(limits().cpus);
  EXPECT_EQ(cpus(), all_cpus());
}

TEST_F(Cgroup, TheSmallestUpToTheRootCounts) {
  file("proc/self/cgroup", "0::/system.slice/holdfast.service\n");
  file("sys/fs/cgroup/system.slice/holdfast.service/memory.max", "max\n");
  file("sys/fs/cgroup/system.slice/holdfast.service/cpu.max", "400000 100000\n");
  file("sys/fs/cgroup/system.slice/memory.max", "1000000\n");
  file("sys/fs/cgroup/system.slice/cpu.max", "250000 100000\n");
  EXPECT_EQ(limits().memory_bytes, 1000000u);
  EXPECT_EQ(limits().cpus, 2.5);
}

TEST_F(Cgroup, Version1) {
  file(
      "proc/self/cgroup",
      "12:pids:/docker/x\n5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/docker/x\n");
  file("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "67108864\n");
  file("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
  file("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limits().memory_bytes, 67108864u);
  EXPECT_EQ(limits().cpus, 0.5);
}

// The path is the host's; in the container its own group is mounted as the root.
TEST_F(Cgroup, Version1InAContainerWithoutANameSpaceOfItsOwn) {
  file("proc/self/cgroup", "4:memory:/docker/x\n5:cpu,cpuacct:/docker/x\n");
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
  file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limits().memory_bytes, 67108864u);
  EXPECT_EQ(limits().cpus, 3.0);
}

TEST_F(Cgroup, Version1SaysNoLimitByNumbers) {
  file("proc/self/cgroup", "4:memory:/\n5:cpu,cpuacct:/\n");
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(limits().memory_bytes);
  EXPECT_FALSE(limits().cpus);
}

TEST_F(Cgroup, AQuotaIsRoundedUpAndNeverRaisesTheNumber) {
  file("proc/self/cgroup", "0::/\n");
  file("sys/fs/cgroup/cpu.max", "10000 100000\n");
  EXPECT_EQ(cpus(), 1u);
  file("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(cpus(), 1u);
  file("sys/fs/cgroup/cpu.max", "100001 100000\n");
  EXPECT_EQ(cpus(), std::min(2u, all_cpus()));
  file("sys/fs/cgroup/cpu.max", "99900000 100000\n");
  EXPECT_EQ(cpus(), all_cpus());
}

TEST_F(Cgroup, NonsenseIsNoLimit) {
  file("proc/self/cgroup", "what\n0:\n::\n0::/\n");
  file("sys/fs/cgroup/memory.max", "-\n");
  file("sys/fs/cgroup/cpu.max", "0 0\n");
  EXPECT_FALSE(limits().memory_bytes);
  EXPECT_FALSE(limits().cpus);
}

}  // namespace
}  // namespace holdfast
