// System calls of a real server fail at random while everybody uses it (tests/harness/faults.h).

#include <sys/mman.h>

#include <fcntl.h>

#include "tests/harness/faults.h"
#include "tests/system/crowd_fixture.h"

namespace holdfast::test {
namespace {

class Faults : public CrowdTest {
 protected:
  Faults() {
    write_file(files_ / "faults", std::string(sizeof(FaultTable), '\0'));
    UniqueFd file(open((files_ / "faults").c_str(), O_RDWR | O_CLOEXEC));
    void* map =
        mmap(nullptr, sizeof(FaultTable), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (map == MAP_FAILED) throw std::runtime_error("no memory for the faults");
    table_ = static_cast<FaultTable*>(map);
    options_.environment = {{"LD_PRELOAD", binary("HF_FAULT_SHIM")},
                            {kFaultsVariable, files_ / "faults"},
                            // ASan wants to be the first library; the calls it looks at are ours.
                            {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
    gw_.stop();
    gw_.use(options_);
    gw_.start();
  }
  ~Faults() override { munmap(table_, sizeof *table_); }

  void set(Fault fault, uint32_t one_in) { table_->one_in[size_t(fault)] = one_in; }
  uint64_t come(Fault fault) const { return table_->come[size_t(fault)]; }
  void stop_faults() {
    for (auto& one_in : table_->one_in) one_in = 0;
  }

  std::vector<pid_t> processes() const {
    std::vector<pid_t> all{gw_.master()};
    for (uint16_t slot : gw_.serving_slots()) all.push_back(gw_.worker(slot));
    return all;
  }

  // Everybody goes on until `fault` has come so often, or for as long as a wait lasts.
  void work_until(Crowd& crowd, Fault fault, uint64_t often) {
    ASSERT_TRUE(crowd.run_until([&] { return come(fault) >= often; }, 4 * timeout_ms()))
        << come(fault) << " of " << often << "\n"
        << crowd.state_text();
    ASSERT_TRUE(crowd.exchange(crowd.members())) << crowd.state_text();
  }

  // All has come to those who are there, and whoever was lost is there again.
  void calm_down(Crowd& crowd) {
    stop_faults();
    auto is_exact = [&] {
      crowd.settle();
      return gw_.counter("connections.open") == crowd.members();
    };
    ASSERT_TRUE(crowd.run_until(is_exact, 4 * timeout_ms()))
        << gw_.counter("connections.open") << " and " << crowd.state_text();
    crowd.peril(false);
    crowd.trouble(false);
    crowd.resume();
    ASSERT_NO_FATAL_FAILURE(go_on(crowd));
    expect_exact(crowd);
    crowd.resume();
  }

  TempDir files_;
  FaultTable* table_;
};

// Faults that a program must not let anybody notice: a call is made again, or its rest is.
TEST_F(Faults, InterruptedAndShortCallsAreNotNoticed) {
  Crowd crowd(everybody(2));
  std::vector<pid_t> before = processes();
  for (Fault fault : {Fault::interrupted, Fault::short_read, Fault::short_write}) {
    set(fault, 5);
    ASSERT_NO_FATAL_FAILURE(work_until(crowd, fault, 1'000));
  }
  EXPECT_EQ(processes(), before);
  // Not while the workers of two generations speak with each other, either.
  crowd.during([&] { EXPECT_EQ(gw_.ctl({"reload"}).status, 0); });
  ASSERT_NO_FATAL_FAILURE(go_on(crowd));
  stop_faults();
  ASSERT_NO_FATAL_FAILURE(expect_exact(crowd));
  EXPECT_EQ(gw_.counter("sessions.crashed"), 0u);
  expect_nothing_left(crowd);
}

struct Case {
  const char* name;
  Fault fault;
  uint32_t one_in;
  uint64_t often;
  std::vector<const char*> counters;  // of which one must have risen: the words for it
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name;
}

class FaultsThatCost : public Faults, public testing::WithParamInterface<Case> {};

// A connection that fails is closed, and its client comes again; everybody else gets everything, no process ends, and
// nothing is owed when it is over.
TEST_P(FaultsThatCost, TheirConnectionsAndNothingElse) {
  const Case& c = GetParam();
  Crowd crowd(everybody(2));
  std::vector<pid_t> before = processes();
  auto counted = [&] {
    uint64_t sum = 0;
    for (const char* counter : c.counters) sum += gw_.counter(counter);
    return sum;
  };
  uint64_t counted_before = counted();
  crowd.trouble(true);
  crowd.peril(true);
  set(c.fault, c.one_in);
  ASSERT_NO_FATAL_FAILURE(work_until(crowd, c.fault, c.often));
  ASSERT_NO_FATAL_FAILURE(calm_down(crowd));
  EXPECT_EQ(processes(), before) << gw_.log();
  EXPECT_GT(counted(), counted_before);
  EXPECT_EQ(gw_.counter("sessions.crashed"), 0u);
  expect_all_gone(crowd);
  // Told that it is over is whoever was told that it began; twice only where the first answer was lost on its way.
  uint64_t closes = 0;
  for (const auto& [id, told] : told_of(fpm_.app_log())) {
    EXPECT_GE(told.closes, 1u) << id;
    closes += told.closes;
  }
  EXPECT_LE(closes, gw_.counter("events.close") + gw_.counter("events.close_retried"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FaultsThatCost,
    testing::Values(Case{"reset", Fault::reset, 300, 100, {"sessions.closed"}},
                    Case{"broken_pipe", Fault::broken_pipe, 300, 50, {"sessions.closed"}},
                    Case{"no_memory",
                         Fault::no_memory,
                         300,
                         100,
                         {"connections.accept_errors", "connections.unwatched",
                          "backend.connect_errors"}},
                    Case{"no_files", Fault::no_files, 3, 50, {"connections.out_of_files"}}),
    [](const testing::TestParamInfo<Case>& c) { return std::string(c.param.name); });

TEST_F(Faults, AllAtOnce) {
  Crowd crowd(everybody(2));
  std::vector<pid_t> before = processes();
  crowd.trouble(true);
  crowd.peril(true);
  for (Fault fault : {Fault::interrupted, Fault::short_read, Fault::short_write}) set(fault, 10);
  for (Fault fault : {Fault::reset, Fault::broken_pipe, Fault::no_memory}) set(fault, 1'000);
  set(Fault::no_files, 20);
  ASSERT_NO_FATAL_FAILURE(work_until(crowd, Fault::reset, 50));
  ASSERT_NO_FATAL_FAILURE(calm_down(crowd));
  EXPECT_EQ(processes(), before) << gw_.log();
  expect_all_gone(crowd);
}

}  // namespace
}  // namespace holdfast::test
