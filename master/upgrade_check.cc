#include "master/upgrade_check.h"

#include <signal.h>
#include <spawn.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/process_clock.h"

namespace holdfast::master {
namespace {

constexpr int kRecordFd = 3;  // in the child

// Output into the pipe, the record at a number of its own, signals as a fresh process has them.
class SpawnSettings {
 public:
  SpawnSettings(int words, int record) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, words, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, words, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, record, kRecordFd);
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  int spawn(pid_t* pid, const std::string& path, std::vector<std::string> arguments,
            std::vector<std::string> environment) const {
    std::vector<char*> argv, envp;
    for (std::string& one : arguments) argv.push_back(one.data());
    for (std::string& one : environment) envp.push_back(one.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    return posix_spawn(pid, path.c_str(), &actions_, &attributes_, argv.data(), envp.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

Result<void> UpgradeCheck::start(const Image& image, const std::vector<std::string>& arguments,
                                 const MasterRecord& record) {
  auto file = write_record(record);
  if (!file) return std::move(file.error());
  // Never the number it gets in the child: dup2() onto itself would leave it closed at exec.
  UniqueFd record_fd(fcntl(file->get(), F_DUPFD_CLOEXEC, kRecordFd + 1));
  int ends[2];
  if (!record_fd || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
    return Error{Errc::io, errno, "pipe for the check of a new binary"};
  words_ = UniqueFd(ends[0]);
  UniqueFd theirs(ends[1]);
  SpawnSettings settings(theirs.get(), record_fd.get());
  int error = settings.spawn(&pid_, image.path, arguments,
                             environment_with({fmt::format("HOLDFAST_TAKEOVER={}", kRecordFd),
                                               "HOLDFAST_TAKEOVER_CHECK=1"}));
  if (error != 0) {
    pid_ = 0;
    return Error{Errc::io, error, fmt::format("execute {}", image.path)};
  }
  said_.clear();
  overdue_ = false;
  deadline_ms_ = process_ms() + kPatienceMs;
  readable_ =
      std::make_unique<IoEvent>(loop_, words_.get(), *this, Call<&UpgradeCheck::on_words>{});
  readable_->watch(kRead);
  return {};
}

void UpgradeCheck::on_words(short) {
  read_words();
}

void UpgradeCheck::read_words() {
  char bytes[4096];
  for (;;) {
    ssize_t got = read(words_.get(), bytes, sizeof bytes);
    if (got == -1 && errno == EINTR) continue;
    if (got == -1 && errno == EAGAIN) return;
    if (got <= 0) return readable_->watch(0);
    said_.append(bytes, std::min(size_t(got), kMaxWords - said_.size()));
  }
}

bool UpgradeCheck::on_exit(const Exit& exit) {
  if (exit.pid != pid_) return false;
  read_words();
  loop_.defer_delete(std::move(readable_));
  pid_ = 0;
  verdict_ = {};
  verdict_.words = lines_of(said_);
  std::string passed = kCheckPassed;
  if (exit.clean() && !verdict_.words.empty() && verdict_.words.back().starts_with(passed)) {
    verdict_.fit = true;
    verdict_.version = verdict_.words.back().substr(passed.size());
  } else if (overdue_) {
    verdict_.why = fmt::format("it did not answer within {} s", kPatienceMs / 1000);
  } else if (exit.clean()) {
    verdict_.why = "it is no holdfastd that can take over a running one";
  } else {
    verdict_.why = fmt::format("it cannot take over ({})", exit.text());
  }
  return true;
}

void UpgradeCheck::check(uint64_t now_ms) {
  if (!running() || overdue_ || now_ms < deadline_ms_) return;
  overdue_ = true;
  kill();
}

void UpgradeCheck::kill() {
  if (running()) ::kill(pid_, SIGKILL);
}

}  // namespace holdfast::master
