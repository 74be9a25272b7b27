// An upgrade from the real binary of a former release, whose path is in HF_FORMER_HOLDFASTD (scripts/upgrade-test builds one);
// without it there is nothing to test here. In its midst one slot is the new binary's and two are the former's.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "tests/harness/wait.h"
#include "tests/system/crowd_fixture.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> former_releases() {
  const char* path = std::getenv("HF_FORMER_HOLDFASTD");
  if (path == nullptr) return {};
  return {path};
}

// Where a package manager would put the binary.
class Installed {
 public:
  explicit Installed(const std::string& binary) { install(binary); }
  void install(const std::string& binary) {
    write_file(bin_ / "new", read_file(binary));
    HF_CHECK(chmod((bin_ / "new").c_str(), 0755) == 0);
    fs::rename(bin_ / "new", program());
  }
  std::string program() const { return bin_ / "holdfastd"; }
  std::string fault_file() const { return bin_ / "fault"; }

 private:
  TempDir bin_;
};

class FormerRelease : public testing::WithParamInterface<std::string>,
                      protected Installed,
                      public CrowdTest {
 protected:
  FormerRelease()
      : Installed(GetParam()),
        CrowdTest({.environment = {{"HF_FAULT_FILE", fault_file()}}, .holdfastd = program()}) {}

  // The new master stands still as soon as it has asked one slot's process to hand over; the others are not asked.
  void upgrade_one_slot(Crowd& crowd) {
    before_ = workers();
    install(binary("HF_HOLDFASTD"));
    write_file(fault_file(), "master.takeover_asked stop\n");
    gw_.signal(SIGUSR2);
    ASSERT_TRUE(crowd.run_until([&] { return is_stopped(gw_.master()) && replaced() == 1; },
                                4 * timeout_ms()))
        << gw_.log();
  }
  void upgrade_the_rest(Crowd& crowd) {
    ASSERT_EQ(kill(gw_.master(), SIGCONT), 0);
    ASSERT_TRUE(
        crowd.run_until([&] { return replaced() == 3 && gw_.generation() == 2; }, 4 * timeout_ms()))
        << gw_.log();
  }
  std::vector<pid_t> workers() const { return {gw_.worker(0), gw_.worker(1), gw_.worker(2)}; }
  size_t replaced() const {
    std::vector<pid_t> now = workers();
    size_t n = 0;
    for (size_t i = 0; i < now.size(); ++i) n += now[i] != before_[i];
    return n;
  }
  // Whoever is asked, all workers answer.
  void expect_whole_answers() {
    for (uint16_t slot = 0; slot < 3; ++slot) {
      HttpClient api = gw_.api_on(slot);
      HttpAnswer names = api.get("/v1/channels?limit=1000");
      EXPECT_EQ(names.status, 200) << names.body;
      EXPECT_NE(names.body.find("\"room0\""), std::string::npos) << names.body;
      EXPECT_EQ(names.body.find("\"partial\":true"), std::string::npos) << names.body;
      HttpAnswer join = api.post("/v1/leave", R"({"users":["nobody"],"channels":["none"]})");
      EXPECT_EQ(join.body.find("\"partial\":true"), std::string::npos) << join.body;
    }
  }
  void expect_all_records_understood() {
    for (const char* counter : {"push.bad_record", "push.poison_record", "push.partial"})
      EXPECT_EQ(gw_.counter(counter), 0u) << counter;
  }

  std::vector<pid_t> before_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FormerRelease);

TEST_P(FormerRelease, IsReplacedUnderACrowdThatNoticesNothing) {
  Crowd crowd(everybody(10));
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  ASSERT_NO_FATAL_FAILURE(upgrade_one_slot(crowd));
  for (int round = 0; round < 3; ++round) ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  crowd.during([&] { expect_whole_answers(); });
  expect_all_records_understood();
  ASSERT_NO_FATAL_FAILURE(upgrade_the_rest(crowd));
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  crowd.during([&] { expect_whole_answers(); });
  expect_all_records_understood();
  expect_exact(crowd);
  EXPECT_EQ(gw_.counter("sessions.crashed"), 0u);
  EXPECT_EQ(gw_.counter("sessions.closed_stop"), 0u);
  expect_nothing_left(crowd);
}

INSTANTIATE_TEST_SUITE_P(Binary, FormerRelease, testing::ValuesIn(former_releases()),
                         [](const auto&) { return std::string("Given"); });

}  // namespace
}  // namespace holdfast::test
