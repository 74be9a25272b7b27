#include "master/memory_room.h"

#include <gtest/gtest.h>

#include "tests/unit/conf/temp_dir.h"

namespace holdfast::master {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;
using Kind = MemoryVerdict::Kind;

conf::Config config_of(unsigned workers, unsigned sessions) {
  conf::Config config;
  config.server.workers = workers;
  config.limits.max_sessions = sessions;
  config.limits.mailbox_size = 512 * 1024;
  return config;
}

TEST(MemoryRoom, NeedsGrowWithWhatIsConfigured) {
  MemoryNeeds few = memory_needs(config_of(4, 10'000));
  EXPECT_GE(few.mailboxes, 12 * 512 * 1024u);
  EXPECT_LT(few.mailboxes, 13 * 516 * 1024u);
  EXPECT_GE(few.sessions, 10'000 * 128u);
  EXPECT_LT(few.least, 4 * kMiB);
  EXPECT_EQ(few.addresses, 0u) << "nobody is counted";
  MemoryNeeds many = memory_needs(config_of(12, 1'000'000));
  EXPECT_GT(many.mailboxes, 60 * kMiB);
  EXPECT_GT(many.sessions, 120 * kMiB);
  conf::Config counted = config_of(4, 10'000);
  counted.limits.max_connections_per_ip = 5;
  EXPECT_GE(memory_needs(counted).addresses, 4 * 10'000 * 24u);
}

TEST(MemoryRoom, AContainersDefaultIsWarnedOfInNumbers) {
  MemoryVerdict verdict =
      judge_memory(memory_needs(config_of(12, 1'000'000)), {.free = 64 * kMiB, .group = {}});
  EXPECT_EQ(verdict.kind, Kind::tight);
  for (const char* part : {"/dev/shm has 64.0 MiB free", "mailboxes 6", "sessions 122.1 MiB",
                           "memory.refused", "--shm-size="})
    EXPECT_NE(verdict.text.find(part), std::string::npos) << part << ": " << verdict.text;
}

TEST(MemoryRoom, EnoughIsSaidToo) {
  MemoryNeeds needs = memory_needs(config_of(2, 1'000));
  EXPECT_EQ(judge_memory(needs, {}).kind, Kind::fits);
  EXPECT_EQ(judge_memory(needs, {.free = needs.most(), .group = {}}).kind, Kind::fits);
  EXPECT_EQ(judge_memory(needs, {.free = needs.most() - 1, .group = {}}).kind, Kind::tight);
}

TEST(MemoryRoom, TheControlGroupIsABoundOfItsOwn) {
  MemoryNeeds needs = memory_needs(config_of(2, 1'000));
  MemoryVerdict verdict = judge_memory(needs, {.free = {}, .group = needs.most() - 1});
  EXPECT_EQ(verdict.kind, Kind::tight);
  EXPECT_NE(verdict.text.find("kernel kills"), std::string::npos) << verdict.text;
  EXPECT_EQ(judge_memory(needs, {.free = {}, .group = needs.least - 1}).kind, Kind::impossible);
}

TEST(MemoryRoom, WhatCannotHoldTheLeastIsRefused) {
  MemoryNeeds needs = memory_needs(config_of(2, 1'000));
  MemoryVerdict verdict = judge_memory(needs, {.free = needs.least - 1, .group = {}});
  EXPECT_EQ(verdict.kind, Kind::impossible);
  EXPECT_NE(verdict.text.find("at least"), std::string::npos) << verdict.text;
  EXPECT_EQ(judge_memory(needs, {.free = needs.least, .group = {}}).kind, Kind::tight);
}

TEST(MemoryRoom, IsReadOfTheFileSystemAndTheGroup) {
  conf::TempDir root;
  std::filesystem::create_directories(root / "proc/self");
  std::filesystem::create_directories(root / "sys/fs/cgroup");
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/cgroup/memory.max", "1000000\n");
  auto room = memory_room("nobody", root.path(), root.path());
  ASSERT_TRUE(room);
  EXPECT_EQ(room->group, 1'000'000u);
  auto none = memory_room("nobody", root / "absent");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text().find("absent: shared memory needs"), std::string::npos)
      << none.error().text();
}

}  // namespace
}  // namespace holdfast::master
