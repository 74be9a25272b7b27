#include "master/pidfile.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

namespace holdfast::master {
namespace {

Error holder_error(const std::string& path, int fd) {
  struct flock asked {};
  asked.l_type = F_WRLCK;
  asked.l_whence = SEEK_SET;
  bool known = fcntl(fd, F_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
  return Error{Errc::busy, 0,
               fmt::format("{} is held by a running holdfastd (pid {}); stop it, or choose another "
                           "server.runtime_dir",
                           path, known ? asked.l_pid : 0)};
}

// False: the name now means another file, because the former holder removed it between our open and
// our lock.
bool still_named(const std::string& path, int fd) {
  struct stat by_name {};
  struct stat by_fd {};
  return stat(path.c_str(), &by_name) == 0 && fstat(fd, &by_fd) == 0 &&
         by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

}  // namespace

Result<PidFile> PidFile::take(const std::string& path) {
  for (int tries = 0; tries < 10; ++tries) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return Error{Errc::io, errno, fmt::format("open pid file {}", path)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd.get(), F_SETLK, &lock) != 0) {
      if (errno == EAGAIN || errno == EACCES) return holder_error(path, fd.get());
      return Error{Errc::io, errno, fmt::format("lock pid file {}", path)};
    }
    if (!still_named(path, fd.get())) continue;
    std::string text = fmt::format("{}\n", getpid());
    if (ftruncate(fd.get(), 0) != 0 ||
        write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
      return Error{Errc::io, errno, fmt::format("write pid file {}", path)};
    return PidFile(path, std::move(fd));
  }
  return Error{Errc::busy, 0, fmt::format("pid file {} keeps being replaced by others", path)};
}

PidFile::~PidFile() {
  if (fd_) unlink(path_.c_str());
}

void PidFile::close_in_child() {
  fd_.reset();
}

}  // namespace holdfast::master
