#include "tests/unit/master/running_master.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "conf/load.h"
#include "master/master.h"

namespace holdfast::test {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

UniqueFd connected_to(const std::string& text) {
  auto address = conf::parse_address(text);
  if (!address) return {};
  UniqueFd fd(socket(address->raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address->raw), address->raw_bytes) != 0)
    return {};
  return fd;
}

// What comes until `end` or end of file.
std::string read_to(int fd, const std::string& end) {
  std::string text;
  while (end.empty() || !text.ends_with(end)) {
    pollfd readable{fd, POLLIN, 0};
    if (poll(&readable, 1, timeout_ms()) != 1) return text;
    char bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return text;
    text.append(bytes, size_t(got));
  }
  return text;
}

void put_file(const std::string& path, bool there) {
  if (there)
    std::ofstream(path) << "";
  else
    std::filesystem::remove(path);
}

}  // namespace

std::vector<pid_t> children_of(pid_t parent) {
  std::istringstream text(contents(fmt::format("/proc/{0}/task/{0}/children", parent)));
  return {std::istream_iterator<pid_t>(text), {}};
}

RunningMaster::RunningMaster(const MasterOptions& options) {
  static unsigned count = 0;
  instance_ = fmt::format("um{}-{}", getpid(), count++);
  write_config(options);
  if (options.fail_new_workers) {
    std::filesystem::create_directory(run_dir());
    fail_new_workers(true);
  }
  start();
  if (options.await && !options.fail_new_workers) {
    EXPECT_TRUE(serves(1)) << log();
  }
}

RunningMaster::~RunningMaster() {
  if (process_ && !process_->ended()) {
    process_->signal(SIGTERM);
    EXPECT_EQ(process_->exit_status(), 0) << "did not stop cleanly";
  }
  if (testing::Test::HasFailure())
    std::printf("---- log of %s\n%s----\n", instance_.c_str(), log().c_str());
}

void RunningMaster::write_config(const MasterOptions& options) {
  std::string times;
  for (std::string key : {"drain_timeout", "stop_timeout"})
    if (options.server.find(key) == std::string::npos) times += key + " = \"1s\"\n";
  write_config_text(fmt::format(
      "[server]\nseccomp = \"off\"\ninstance = \"{}\"\nruntime_dir = \"{}\"\nworkers = "
      "{}\nmax_workers = 8\n"
      "{}{}\n[log]\ntarget = \"{}\"\n"
      "[limits]\nmax_sessions = 100\n{}\n{}",
      instance_, run_dir(), options.workers, times, options.server,
      options.log.empty() ? dir_ / "log" : options.log, options.limits, options.listens));
}

void RunningMaster::start() {
  segment_.reset();
  process_ = another();
}

std::unique_ptr<Forked> RunningMaster::another() const {
  return std::make_unique<Forked>([this] {
    conf::Loaded loaded = conf::load_file(dir_ / "holdfast.toml");
    for (const conf::Problem& problem : loaded.problems)
      std::fprintf(stderr, "%s\n", problem.text().c_str());
    if (!loaded) return 99;
    setenv("HF_FAULT_FILE", (dir_ / "fault").c_str(), 1);
    master::ProcessTitle title(0, nullptr);
    return master::master_main(std::move(loaded.config), title, fake_worker_main);
  });
}

bool RunningMaster::serves(uint32_t generation) {
  if (generation == 1) return log_says("serving instance=");
  return log_says(fmt::format("reload done: generation {} ", generation));
}

std::string RunningMaster::listed(size_t n) const {
  std::istringstream lines(contents(run_dir() + "/listeners"));
  std::string line;
  for (size_t i = 0; i <= n; ++i) std::getline(lines, line);
  return line.substr(line.rfind(' ') + 1);
}

std::string RunningMaster::log() const {
  return contents(dir_ / "log");
}

bool RunningMaster::log_says(const std::string& text) {
  return eventually([&] { return log().find(text) != std::string::npos || process_->ended(); }) &&
         log().find(text) != std::string::npos;
}

std::string RunningMaster::ask(const std::string& request) const {
  UniqueFd fd = connected_to("unix:" + run_dir() + "/control.sock");
  std::string line = request + "\n";
  if (!fd || send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != ssize_t(line.size()))
    return "no control socket";
  return read_to(fd.get(), "");
}

shm::SlotHead& RunningMaster::slot(uint16_t i) {
  if (!segment_) {
    auto attached = shm::Segment::attach(instance_);
    if (!attached) throw std::runtime_error(attached.error().text());
    segment_ = std::make_unique<shm::Segment>(*std::move(attached));
  }
  return segment_->slot(i);
}

void RunningMaster::fail_new_workers(bool fail) {
  put_file(run_dir() + "/fail", fail);
}

void RunningMaster::refuse_handover(uint16_t slot, bool refuse) {
  put_file(fmt::format("{}/refuse-{}", run_dir(), slot), refuse);
}

// Whole at once: somebody may be reading.
void RunningMaster::order_fault(const std::string& order) {
  dir_.write("fault.new", order, 0644);
  std::filesystem::rename(dir_ / "fault.new", dir_ / "fault");
}

bool RunningMaster::fault_happened() const {
  return eventually([&] { return !std::filesystem::exists(dir_ / "fault"); });
}

bool RunningMaster::one_process_serves_each(const std::vector<uint16_t>& slots) {
  return eventually([&] {
           std::vector<pid_t> servers;
           for (uint16_t i : slots) servers.push_back(pid_t(slot(i).pid.load()));
           std::vector<pid_t> children = children_of(process_->pid());
           std::sort(servers.begin(), servers.end());
           std::sort(children.begin(), children.end());
           return servers == children;
         }) &&
         !std::filesystem::exists(run_dir() + "/two-serve");
}

FakeClient::FakeClient(const std::string& address) : fd_(connected_to(address)) {}

void FakeClient::say(const std::string& word) const {
  std::string line = word + "\n";
  EXPECT_EQ(send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL), ssize_t(line.size()));
}

std::string FakeClient::answer() const {
  return read_to(fd_.get(), "\n");
}

Who FakeClient::who() const {
  say("who");
  Who who;
  std::string text = answer();
  EXPECT_EQ(std::sscanf(text.c_str(), "slot=%u generation=%u pid=%d listeners=%u", &who.slot,
                        &who.generation, &who.pid, &who.listeners),
            4)
      << text;
  return who;
}

}  // namespace holdfast::test
