#include "master/runtime_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"

namespace holdfast::master {

Result<void> prepare_runtime_dir(const std::string& path) {
  std::error_code ignored;  // what matters is whether mkdir works
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (mkdir(path.c_str(), geteuid() == 0 ? 0755 : 0700) == 0) return {};
  if (errno != EEXIST)
    return Error{Errc::io, errno, fmt::format("make server.runtime_dir {}", path)};
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0)
    return Error{Errc::io, errno, fmt::format("look at {}", path)};
  if (!S_ISDIR(found.st_mode))
    return Error{Errc::config, 0, fmt::format("server.runtime_dir {} is not a directory", path)};
  if (found.st_uid != geteuid())
    return Error{Errc::config, 0,
                 fmt::format("server.runtime_dir {} belongs to uid {}, not to us (uid {})", path,
                             found.st_uid, geteuid())};
  if ((found.st_mode & S_IWOTH) != 0)
    return Error{
        Errc::config, 0,
        fmt::format("server.runtime_dir {} may be written by everybody (mode {:o}); chmod o-w it",
                    path, found.st_mode & 07777)};
  return {};
}

Result<void> write_whole_file(const std::string& path, const std::string& text) {
  std::string next = path + ".new";
  UniqueFd fd(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return Error{Errc::io, errno, fmt::format("open {}", next)};
  if (write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
    return Error{Errc::io, errno, fmt::format("write {}", next)};
  if (std::rename(next.c_str(), path.c_str()) != 0)
    return Error{Errc::io, errno, fmt::format("rename {} to {}", next, path)};
  return {};
}

}  // namespace holdfast::master
