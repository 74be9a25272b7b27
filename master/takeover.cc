#include "master/takeover.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/fault.h"
#include "base/log.h"
#include "conf/load.h"
#include "shm/segment.h"

extern char** environ;

namespace holdfast::master {
namespace {

constexpr const char *kStateName = "HOLDFAST_TAKEOVER", *kCheckName = "HOLDFAST_TAKEOVER_CHECK",
                     *kWhyName = "HOLDFAST_TAKEOVER_WHY";
constexpr off_t kMaxRecordBytes = 64 * 1024 * 1024;
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

void keep_at_exec(const std::vector<int>& fds, bool keep) {
  for (int fd : fds) fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

std::string variable(const char* name, const std::string& value) {
  return fmt::format("{}={}", name, value);
}

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

// Everything that a signal handler needs, made before: it may neither allocate nor lock.
struct Prepared {
  int image = -1;
  std::vector<int> fds;
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;
} prepared;

void go_back_after_crash(int) {
  for (int fd : prepared.fds) fcntl(fd, F_SETFD, 0);
  block_signals();
  execveat(prepared.image, "", prepared.argv.data(), prepared.envp.data(), AT_EMPTY_PATH);
  _exit(1);
}

void on_crashes(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigfillset(&action.sa_mask);
  for (int number : kCrashes) sigaction(number, &action, nullptr);
}

int complain(const std::string& what) {
  std::printf("%s\n", what.c_str());
  return 1;
}

int complain(const std::vector<conf::Problem>& problems) {
  for (const conf::Problem& problem : problems) std::printf("%s\n", problem.text().c_str());
  return 1;
}

// What a reload would refuse, the check refuses too.
int check_config(const GenerationRecord& current) {
  conf::Loaded running = conf::load_text(current.toml, current.file);
  if (!running) {
    complain("the configuration that runs is not understood by this version:");
    return complain(running.problems);
  }
  conf::Loaded wanted = conf::load_file(current.file, conf::Machine::ours);
  if (!wanted) return complain(wanted.problems);
  std::vector<std::string> changed = conf::needs_restart(running.config, wanted.config);
  for (const std::string& setting : changed) complain("needs a restart: " + setting);
  return changed.empty() ? 0 : 1;
}

}  // namespace

std::vector<int> descriptors_of(const MasterRecord& record) {
  std::vector<int> fds{record.segment, record.pid_file, record.control};
  if (record.asker != 0) fds.push_back(record.asker);
  if (record.former_image != 0) fds.push_back(record.former_image);
  for (const DoorbellRecord& doorbell : record.doorbells) {
    fds.push_back(doorbell.read);
    fds.push_back(doorbell.write);
    if (doorbell.take != 0) fds.push_back(doorbell.take);
    if (doorbell.give != 0) fds.push_back(doorbell.give);
  }
  for (const PointRecord& point : record.points)
    fds.insert(fds.end(), point.lanes.begin(), point.lanes.end());
  for (const SlotRecord& slot : record.slots)
    if (slot.control != 0) fds.push_back(slot.control);
  for (const LeaverRecord& leaver : record.leavers)
    if (leaver.control != 0) fds.push_back(leaver.control);
  return fds;
}

std::string image_path_of(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return "";  // nobody can say what it was
  const std::string& argument_0 = arguments[0];
  char path[PATH_MAX];
  if (argument_0.find('/') != std::string::npos) {
    if (argument_0[0] == '/') return argument_0;
    if (getcwd(path, sizeof path) != nullptr) return fmt::format("{}/{}", path, argument_0);
  }
  ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, size_t(length)) : argument_0;
}

Result<UniqueFd> write_record(const MasterRecord& record) {
  UniqueFd file(memfd_create("holdfast-takeover", MFD_CLOEXEC));
  if (!file) return Error{Errc::io, errno, "make a file for the master's state"};
  std::string bytes = handover::save(record);
  for (size_t at = 0; at < bytes.size();) {
    ssize_t written = write(file.get(), bytes.data() + at, bytes.size() - at);
    if (written == -1 && errno == EINTR) continue;
    if (written <= 0) return Error{Errc::io, errno, "write the master's state"};
    at += size_t(written);
  }
  return file;
}

Result<MasterRecord> read_record(int fd) {
  struct stat file {};
  if (fstat(fd, &file) != 0 || file.st_size > kMaxRecordBytes)
    return Error{Errc::bad_input, errno, "read the master's state"};
  std::string bytes(size_t(file.st_size), '\0');
  if (pread(fd, bytes.data(), bytes.size(), 0) != ssize_t(bytes.size()))
    return Error{Errc::io, errno, "read the master's state"};
  MasterRecord record;
  if (!handover::load(bytes, record))
    return Error{Errc::bad_input, 0, "the master's state makes no sense to this version"};
  return record;
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> list;
  for (char** at = environ; *at != nullptr; ++at)
    if (std::string_view(*at).substr(0, std::strlen(kStateName)) != kStateName)
      list.emplace_back(*at);
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

Error become(const Image& image, const std::vector<std::string>& arguments,
             const MasterRecord& record, const std::string& why) {
  auto file = write_record(record);
  if (!file) return file.error();
  std::vector<int> fds = descriptors_of(record);
  fds.push_back(file->get());
  std::vector<std::string> more{variable(kStateName, std::to_string(file->get()))};
  if (!why.empty()) more.push_back(variable(kWhyName, why));
  std::vector<std::string> environment = environment_with(more);
  std::fflush(nullptr);
  block_signals();
  keep_at_exec(fds, true);
  HF_FAULT("upgrade.before_exec");
  if (image.fd >= 0)
    execveat(image.fd, "", pointers(arguments).data(), pointers(environment).data(), AT_EMPTY_PATH);
  else
    execve(image.path.c_str(), pointers(arguments).data(), pointers(environment).data());
  Error failed{Errc::io, errno, fmt::format("execute {}", image.path)};
  keep_at_exec(fds, false);
  return failed;
}

std::optional<TakeoverOrder> takeover_order() {
  std::string record = take_variable(kStateName);
  bool check = !take_variable(kCheckName).empty();
  std::string why = take_variable(kWhyName);
  if (record.empty()) return std::nullopt;
  return TakeoverOrder{int(std::strtol(record.c_str(), nullptr, 10)), check, std::move(why)};
}

int check_takeover(int record_fd) {
  HF_FAULT("upgrade.check");
  auto record = read_record(record_fd);
  if (!record) return complain(record.error().text());
  auto segment = shm::Segment::attach(record->instance);
  if (!segment) return complain(segment.error().text());
  for (const GenerationRecord& generation : record->generations) {
    if (!generation.current) continue;
    if (int status = check_config(generation); status != 0) return status;
    std::printf("%s\n%s%s\n", kCheckKeyed, kCheckPassed, HOLDFAST_VERSION);
    return 0;
  }
  return complain("the master's state names no configuration that runs");
}

void close_unnamed(const MasterRecord& record, int record_fd) {
  std::vector<int> named = descriptors_of(record);
  named.insert(named.end(), {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, record_fd});
  std::sort(named.begin(), named.end());
  for (size_t i = 0; i < named.size(); ++i) {
    unsigned first = unsigned(named[i]) + 1;
    unsigned end = i + 1 < named.size() ? unsigned(named[i + 1]) : UINT_MAX;
    if (first < end) close_range(first, end - 1, 0);
  }
}

void block_signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

WayBack::WayBack(const MasterRecord& record, UniqueFd record_file,
                 std::vector<std::string> arguments)
    : image_{record.image_path, record.former_image}, record_file_(std::move(record_file)) {
  prepared.image = image_.fd;
  prepared.fds = descriptors_of(record);
  prepared.fds.push_back(record_file_.get());
  keep_at_exec(prepared.fds, false);
  prepared.arguments = std::move(arguments);
  prepared.environment = environment_with(
      {variable(kStateName, std::to_string(record_file_.get())), variable(kWhyName, "it crashed")});
  prepared.argv = pointers(prepared.arguments);
  prepared.envp = pointers(prepared.environment);
  on_crashes(go_back_after_crash);
}

void WayBack::disarm() {
  on_crashes(SIG_DFL);
}

void WayBack::close_in_child() {
  record_file_.reset();
  close(std::exchange(image_.fd, -1));
}

WayBack::~WayBack() {
  disarm();
  UniqueFd closed(image_.fd);
  prepared = {};
}

int WayBack::go(const std::string& why) {
  log_aloud("upgrade failed, back to the former version: " + why);
  prepared.environment.back() = variable(kWhyName, why);
  prepared.envp = pointers(prepared.environment);
  std::fflush(nullptr);
  block_signals();
  keep_at_exec(prepared.fds, true);
  execveat(image_.fd, "", prepared.argv.data(), prepared.envp.data(), AT_EMPTY_PATH);
  log_aloud(fmt::format("no way back to the former version error=\"{}\"", std::strerror(errno)));
  return 1;
}

}  // namespace holdfast::master
