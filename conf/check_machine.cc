// What a configuration wants of the machine it is for, as far as it can be seen without changing
// anything: -t must not create the log file, and what is true now may be false at the start.
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/result.h"
#include "conf/read.h"

namespace holdfast::conf {

namespace {

constexpr std::string_view kTarget =
    "\"stderr\", or a file that can be written to, or made in a folder that is there";

// "" or why this process could not do it.
std::string access_error(const std::string& path, int mode) {
  if (faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0) return "";
  return Error{Errc::io, errno, path}.text();
}

std::string target_error(const std::string& target) {
  if (target.find('\0') != target.npos) return "a path cannot contain NUL";
  struct stat about;
  if (stat(target.c_str(), &about) == 0) {
    return S_ISDIR(about.st_mode) ? "a folder" : access_error(target, W_OK);
  }
  if (errno != ENOENT) return Error{Errc::io, errno, "cannot look at it"}.text();
  std::string folder = std::filesystem::path(target).parent_path();
  return access_error(folder, W_OK | X_OK);
}

}  // namespace

void check_user(Table& server, const std::string& user) {
  if (user.empty()) return;
  errno = 0;
  if (getpwnam(user.c_str()) != nullptr) return;
  // getpwnam(3): no such user is one of these, or no error at all.
  bool none = errno == 0 || errno == ENOENT || errno == ESRCH || errno == EBADF || errno == EPERM;
  std::string what = none ? "no such user" : Error{Errc::io, errno, "cannot be looked up"}.text();
  server.wrong("user", what, "a user of this machine, or \"\" for no change");
}

void check_log_target(Table& log, const std::string& target) {
  if (target == "stderr") return;
  std::string error = target_error(target);
  if (!error.empty()) log.wrong("target", error, std::string(kTarget));
}

}  // namespace holdfast::conf
