#include "tests/unit/master/slots_rig.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "tests/harness/wait.h"
#include "tests/unit/master/running_master.h"

namespace holdfast::test {
namespace {

constexpr shm::Capacities kSmall{.max_workers = 4,
                                 .max_sessions = 8,
                                 .filter_buckets = 16,
                                 .mailbox_bytes = 1024,
                                 .receipts = 64};

template <class T>
std::unique_ptr<T> owned(Result<T> made) {
  EXPECT_TRUE(made) << made.error().text();
  return std::make_unique<T>(*std::move(made));
}

}  // namespace

SlotsRig::SlotsRig(master::WorkerMain worker_main) : title_(0, nullptr) {
  static unsigned count = 0;
  instance_ = fmt::format("us{}-{}", getpid(), count++);
  std::filesystem::create_directory(dir_ / "run");
  setenv("HF_FAULT_FILE", (dir_ / "fault").c_str(), 1);
  segment_ = owned(shm::Segment::create({instance_, dir_ / "run", 1}, kSmall));
  doorbells_ = owned(master::Doorbells::make(kSmall.max_workers));
  spawner_ = std::make_unique<master::Spawner>(loop_, *segment_, sockets_, *doorbells_, title_,
                                               worker_main);
  slots_ = std::make_unique<master::Slots>(loop_, *segment_, *spawner_,
                                           static_cast<master::SlotObserver&>(*this));
}

SlotsRig::~SlotsRig() {
  broker.reset();
  slots_->stop(control_word::kTerm);
  slots_->kill_all();
  EXPECT_TRUE(until([this] { return slots_->all_empty(); })) << "processes are left";
  unsetenv("HF_FAULT_FILE");
}

const master::Generation& SlotsRig::new_generation(unsigned workers) {
  conf::Config config;
  config.server.seccomp = conf::Seccomp::off;  // fake workers do other things than real ones
  config.server.instance = instance_;
  config.server.runtime_dir = dir_ / "run";
  config.server.workers = workers;
  config.server.max_workers = kSmall.max_workers;
  config.server.stop_timeout_ms = 1'000;
  config.server.drain_timeout_ms = 1'000;
  config.log.target = dir_ / "log";
  return generations_.emplace_back(
      master::Generation{uint32_t(generations_.size() + 1), std::move(config), {}});
}

void SlotsRig::serve(uint16_t slot, const master::Generation& generation, unsigned ordinal) {
  ASSERT_TRUE(slots_->start(slot, generation, ordinal));
  ASSERT_TRUE(until([&] { return (*slots_)[slot].phase == master::Phase::serving; }));
}

void SlotsRig::stand_by(uint16_t slot, const master::Terms& terms) {
  ASSERT_TRUE(slots_->stand_by(slot, terms));
  ASSERT_TRUE(heard(fmt::format("standing {}", slot)));
}

pid_t SlotsRig::server(uint16_t slot) const {
  return pid_t(segment_->slot(slot).pid.load());
}

bool SlotsRig::until(const std::function<bool()>& condition) {
  condition_ = condition;
  condition_met_ = false;
  until_ms_ = monotonic_ms() + uint64_t(timeout_ms());
  Ticker ticker(loop_, 2, *this, Call<&SlotsRig::on_tick>{});
  loop_.run();
  return condition_met_;
}

void SlotsRig::on_tick() {
  slots_->reap();
  condition_met_ = condition_();
  if (condition_met_ || monotonic_ms() >= until_ms_) loop_.stop();
}

bool SlotsRig::heard(const std::string& news) {
  return until([&] { return has_heard(news); });
}

bool SlotsRig::has_heard(const std::string& news) const {
  return std::find(news_.begin(), news_.end(), news) != news_.end();
}

void SlotsRig::order_fault(const std::string& order) {
  dir_.write("fault.new", order);
  std::filesystem::rename(dir_ / "fault.new", dir_ / "fault");
}

bool SlotsRig::fault_happened() {
  return until([&] { return !std::filesystem::exists(dir_ / "fault"); });
}

bool SlotsRig::one_process_serves_each(const std::vector<uint16_t>& slots) {
  return until([&] {
           std::vector<pid_t> servers;
           for (uint16_t slot : slots) servers.push_back(server(slot));
           std::vector<pid_t> children = children_of(getpid());
           std::sort(servers.begin(), servers.end());
           std::sort(children.begin(), children.end());
           return servers == children;
         }) &&
         !std::filesystem::exists(dir_ / "run/two-serve");
}

void SlotsRig::on_slot_ready(uint16_t slot) {
  news_.push_back(fmt::format("ready {}", slot));
  if (broker) broker->on_slot_ready(slot);
}

void SlotsRig::on_slot_crashed(uint16_t slot) {
  news_.push_back(fmt::format("crashed {}", slot));
  if (broker) broker->on_slot_crashed(slot);
}

void SlotsRig::on_slot_empty(uint16_t slot) {
  news_.push_back(fmt::format("empty {}", slot));
  if (broker) broker->on_slot_empty(slot);
}

void SlotsRig::on_succession(uint16_t slot, master::Succession news) {
  static constexpr const char* kWords[] = {"standing", "died", "taken", "kept"};
  news_.push_back(fmt::format("{} {}", kWords[size_t(news)], slot));
  if (broker) broker->on_succession(slot, news);
}

}  // namespace holdfast::test
