// holdfastctl upgrade and USR2: the binary on disk takes the master's place, and nobody notices; or
// it cannot, and nobody notices either.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <thread>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

// The same program with another version in it, of the same length.
std::string with_version(std::string bytes, const std::string& version) {
  const std::string ours = HOLDFAST_VERSION;
  EXPECT_EQ(version.size(), ours.size());
  for (size_t at = bytes.find(ours); at != std::string::npos; at = bytes.find(ours, at + 1))
    bytes.replace(at, ours.size(), version);
  return bytes;
}

std::string other_version() {
  std::string version = HOLDFAST_VERSION;
  version.back() = version.back() == '9' ? '8' : '9';
  return version;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::string pid = std::to_string(parent);
  std::istringstream text(read_file("/proc/" + pid + "/task/" + pid + "/children"));
  return {std::istream_iterator<pid_t>(text), {}};
}

class Upgrade : public testing::Test {
 protected:
  Upgrade() { install(read_file(binary("HF_HOLDFASTD"))); }

  // As a package manager does it: a new file, renamed over the old one.
  void install(const std::string& bytes, mode_t mode = 0755) {
    write_file(bin_ / "new", bytes);
    ASSERT_EQ(chmod((bin_ / "new").c_str(), mode), 0);
    fs::rename(bin_ / "new", program());
  }
  std::string program() const { return bin_ / "holdfastd"; }
  GatewayOptions options() const {
    return {.tables = echo_ws() + relay_tcp(),
            .environment = {{"HF_FAULT_FILE", bin_ / "fault"}},
            .holdfastd = program()};
  }
  void start() {
    gateway_ = std::make_unique<Gateway>(options());
    for (int i = 0; i < 10; ++i) webs_.emplace_back(gw().listener(0), "/ws");
    line_ = std::make_unique<LengthClient>(gw().listener(1));
    ASSERT_EQ(gw().counter_becomes("sessions.online", 11), 11u);
    master_ = gw().master();
  }
  Gateway& gw() { return *gateway_; }
  // By the instance's name: the configuration may be a bad one.
  Finished upgrade() const {
    return run({binary("HF_HOLDFASTCTL"), "-i", gateway_->instance(), "upgrade"});
  }
  ino_t running_image() {
    struct stat file {};
    EXPECT_EQ(stat(("/proc/" + std::to_string(master_) + "/exe").c_str(), &file), 0);
    return file.st_ino;
  }
  ino_t installed_image() {
    struct stat file {};
    EXPECT_EQ(stat(program().c_str(), &file), 0);
    return file.st_ino;
  }
  void expect_everybody_goes_on() {
    ASSERT_TRUE(gw().process().running());
    for (size_t i = 0; i < webs_.size(); ++i) {
      webs_[i].send_text("after " + std::to_string(i));
      ASSERT_EQ(webs_[i].next_text(), "after " + std::to_string(i));
    }
    line_->send("line");
    ASSERT_EQ(line_->next(), "line");
    WsClient newcomer(gw().listener(0), "/ws");
    newcomer.send_text("new");
    ASSERT_EQ(newcomer.next_text(), "new");
    newcomer.close();
    EXPECT_EQ(gw().counter_becomes("sessions.online", 11), 11u);
    EXPECT_EQ(gw().segment().slot(0).restarts.load(), 0u);
    EXPECT_EQ(gw().segment().slot(1).restarts.load(), 0u);
  }
  void expect_refused(const std::string& why) {
    std::vector<pid_t> workers{gw().worker(0), gw().worker(1)};
    ino_t before = running_image();
    Finished asked = upgrade();
    EXPECT_EQ(asked.status, 1) << asked.output;
    EXPECT_NE(asked.output.find("upgrade refused"), std::string::npos) << asked.output;
    EXPECT_NE(asked.output.find(why), std::string::npos) << asked.output;
    EXPECT_NE(gw().log().find("upgrade refused"), std::string::npos);
    EXPECT_EQ(running_image(), before);
    EXPECT_EQ((std::vector<pid_t>{gw().worker(0), gw().worker(1)}), workers);
    EXPECT_EQ(gw().generation(), 1u);
    expect_everybody_goes_on();
  }
  void order_fault(const std::string& order) { write_file(bin_ / "fault", order + "\n"); }
  bool fault_happened() const { return !fs::exists(bin_ / "fault"); }

  TempDir bin_;
  std::unique_ptr<Gateway> gateway_;
  std::vector<WsClient> webs_;
  std::unique_ptr<LengthClient> line_;
  pid_t master_ = 0;
};

TEST_F(Upgrade, GoesOnWithTheNewBinaryInTheSameProcess) {
  start();
  std::string bytes = read_file(binary("HF_HOLDFASTD"));
  install(with_version(bytes, other_version()));
  ASSERT_NE(running_image(), installed_image());
  Finished asked = upgrade();
  EXPECT_EQ(asked.status, 0) << asked.output << gw().log();
  std::string expected = "upgraded from " HOLDFAST_VERSION " to " + other_version();
  EXPECT_NE(asked.output.find(expected), std::string::npos) << asked.output;
  EXPECT_EQ(running_image(), installed_image());
  EXPECT_EQ(gw().generation(), 2u);
  expect_everybody_goes_on();
  EXPECT_EQ(gw().counter("sessions.closed"), 1u);  // the newcomer
  webs_.clear();
  line_.reset();
  EXPECT_EQ(gw().stop(), 0);
  EXPECT_FALSE(fs::exists(gw().dir() + "/run/holdfastd.pid"));
}

TEST_F(Upgrade, CanBeDoneAgainAndAgainAndByASignalAndLeaksNoDescriptor) {
  start();
  auto descriptors = [&] {
    auto all = fs::directory_iterator("/proc/" + std::to_string(master_) + "/fd");
    return std::distance(begin(all), end(all));
  };
  ASSERT_EQ(upgrade().status, 0);
  auto before = descriptors();
  for (uint64_t round = 3; round < 8; ++round) {
    install(read_file(binary("HF_HOLDFASTD")));
    gw().signal(SIGUSR2);
    ASSERT_TRUE(eventually([&] { return gw().generation() == round; })) << gw().log();
    ASSERT_TRUE(eventually([&] { return running_image() == installed_image(); }));
    expect_everybody_goes_on();
  }
  EXPECT_TRUE(eventually([&] { return descriptors() <= before; }))
      << descriptors() << " now, " << before << " before";
  EXPECT_EQ(gw().ctl({"reload"}).status, 0);  // and an ordinary reload works as ever
  expect_everybody_goes_on();
}

TEST_F(Upgrade, KeepsOtherMastersOutAsBefore) {
  start();
  ASSERT_EQ(upgrade().status, 0);
  Finished other = run({program(), "-c", gw().config_file()});
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.output.find(std::to_string(master_)), std::string::npos) << other.output;
}

TEST_F(Upgrade, ReadsTheConfigurationToo) {
  start();
  GatewayOptions more = options();
  more.workers = 3;
  gw().write_config(more);
  EXPECT_EQ(upgrade().status, 0);
  EXPECT_EQ(gw().serving_slots().size(), 3u);
  expect_everybody_goes_on();
}

TEST_F(Upgrade, IsRefusedWhereThereIsNoBinary) {
  start();
  fs::remove(program());
  Finished asked = upgrade();
  EXPECT_EQ(asked.status, 1);
  EXPECT_NE(asked.output.find("No such file"), std::string::npos) << asked.output;
  expect_everybody_goes_on();
  install(read_file(binary("HF_HOLDFASTD")));
  EXPECT_EQ(upgrade().status, 0);
}

TEST_F(Upgrade, IsRefusedWhereItCannotBeExecuted) {
  start();
  install("not a program\n", 0644);
  expect_refused("Permission denied");
}

TEST_F(Upgrade, IsRefusedWithTheWordsOfABinaryThatFails) {
  start();
  install("#!/bin/sh\necho 'a library is missing' >&2\nexit 1\n");
  expect_refused("a library is missing");
}

TEST_F(Upgrade, IsRefusedForAProgramThatIsNoHoldfastd) {
  start();
  install("#!/bin/sh\nexit 0\n");
  expect_refused("no holdfastd that can take over");
}

TEST_F(Upgrade, IsRefusedForABinaryThatCrashesAtTheFirstLook) {
  start();
  order_fault("upgrade.check segv");
  expect_refused("Segmentation fault");
}

TEST_F(Upgrade, IsRefusedWithABadConfiguration) {
  start();
  GatewayOptions bad = options();
  bad.server = "colour = 1";
  gw().write_config(bad);
  expect_refused("colour");
}

TEST_F(Upgrade, IsRefusedForSettingsThatNeedARestart) {
  start();
  GatewayOptions other = options();
  other.server = "node_id = 7";
  gw().write_config(other);
  expect_refused("node_id");
}

// As if the binary on disk had another layout than the instance that runs.
TEST_F(Upgrade, IsRefusedForAnotherLayoutOfTheSegment) {
  start();
  std::string path = "/dev/shm/holdfast." + gw().instance();
  UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(file);
  const auto at = off_t(offsetof(shm::Header, layout_version));
  uint32_t other = shm::kLayoutVersion + 1, ours = shm::kLayoutVersion;
  ASSERT_EQ(pwrite(file.get(), &other, sizeof other, at), ssize_t(sizeof other));
  Stream control("unix:" + gw().dir() + "/run/control.sock");  // holdfastctl would not attach
  control.write("upgrade\n");
  while (control.read_more()) {
  }
  std::string answer = control.buffer();
  EXPECT_NE(answer.find("error upgrade refused"), std::string::npos) << answer;
  EXPECT_NE(answer.find("layout"), std::string::npos) << answer;
  ASSERT_EQ(pwrite(file.get(), &ours, sizeof ours, at), ssize_t(sizeof ours));
  expect_everybody_goes_on();
}

// A version that does not know the segment's key would look for channels elsewhere, and nobody would notice what is lost.
TEST_F(Upgrade, IsRefusedForABinaryThatDoesNotKnowTheSegmentsKey) {
  start();
  std::string bytes = read_file(binary("HF_HOLDFASTD"));
  const std::string word = "names are hashed with the segment's key";
  size_t found = 0;
  for (size_t at = bytes.find(word); at != std::string::npos; at = bytes.find(word, at)) {
    bytes.replace(at, 5, "NAMES");
    ++found;
  }
  ASSERT_GT(found, 0u);
  install(bytes);
  expect_refused("older than the segment");
}

TEST_F(Upgrade, GoesBackToTheFormerBinaryWhenTheNewOneCrashesAmidTheTakeover) {
  start();
  ino_t before = running_image();
  install(with_version(read_file(binary("HF_HOLDFASTD")), other_version()));
  order_fault("upgrade.adopted segv");
  Finished asked = upgrade();
  EXPECT_EQ(asked.status, 1) << asked.output;
  EXPECT_TRUE(fault_happened());
  EXPECT_NE(asked.output.find("upgrade failed, " HOLDFAST_VERSION " goes on: it crashed"),
            std::string::npos)
      << asked.output;
  EXPECT_EQ(running_image(), before);
  EXPECT_EQ(gw().generation(), 1u);
  expect_everybody_goes_on();
  asked = upgrade();  // it was no lasting harm
  EXPECT_EQ(asked.status, 0) << asked.output;
  EXPECT_EQ(running_image(), installed_image());
  expect_everybody_goes_on();
}

// The new image stands still while the configuration becomes one that its reload must refuse.
TEST_F(Upgrade, GoesBackToTheFormerBinaryWhenTheReloadIsRefused) {
  start();
  ino_t before = running_image();
  install(with_version(read_file(binary("HF_HOLDFASTD")), other_version()));
  order_fault("upgrade.adopted stop");
  Finished asked;
  std::thread asking([&] { asked = upgrade(); });
  EXPECT_TRUE(eventually([&] { return fault_happened(); }));
  GatewayOptions bad = options();
  bad.server = "colour = 1";
  gw().write_config(bad);
  EXPECT_TRUE(continue_when_stopped(gw().master()));
  asking.join();
  EXPECT_EQ(asked.status, 1) << asked.output;
  EXPECT_NE(asked.output.find("colour"), std::string::npos) << asked.output;
  EXPECT_EQ(running_image(), before);
  expect_everybody_goes_on();
}

// Whoever dies while nobody looks is noticed afterwards.
TEST_F(Upgrade, NoticesAWorkerThatDiesBetweenTheImages) {
  start();
  order_fault("upgrade.before_exec stop");
  Finished asked;
  std::thread asking([&] { asked = upgrade(); });
  EXPECT_TRUE(eventually([&] { return fault_happened(); }));
  kill(gw().worker(1), SIGKILL);
  EXPECT_TRUE(continue_when_stopped(gw().master()));
  asking.join();
  EXPECT_EQ(asked.status, 0) << asked.output;
  EXPECT_TRUE(eventually([&] { return gw().segment().slot(1).restarts.load() == 1; }));
  EXPECT_TRUE(eventually([&] { return gw().serving_slots().size() == 2; })) << gw().log();
  EXPECT_EQ(running_image(), installed_image());
}

TEST_F(Upgrade, IsRefusedWhileAnotherOneIsUnderWay) {
  start();
  order_fault("upgrade.check stop");
  Finished first;
  std::thread asking([&] { first = upgrade(); });
  EXPECT_TRUE(eventually([&] { return fault_happened(); }));
  for (const char* command : {"upgrade", "reload"}) {
    Finished second = gw().ctl({command});
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.output.find("an upgrade is under way"), std::string::npos) << second.output;
  }
  // The one that checks the new binary is a child beside the workers.
  EXPECT_TRUE(eventually([&] {
    std::vector<pid_t> children = children_of(master_);
    auto check = std::find_if(children.begin(), children.end(), is_stopped);
    return check != children.end() && kill(*check, SIGCONT) == 0;
  }));
  asking.join();
  EXPECT_EQ(first.status, 0) << first.output;
  expect_everybody_goes_on();
}

}  // namespace
}  // namespace holdfast::test
