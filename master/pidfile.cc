#include "master/pidfile.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast::master {
namespace {

constexpr mode_t kMode = 0600;  // I2

// The lock that is in the way; of type F_UNLCK: none any more.
struct flock lock_in_the_way(int fd) {
  struct flock asked {};
  asked.l_type = F_WRLCK;
  asked.l_whence = SEEK_SET;
  if (fcntl(fd, F_GETLK, &asked) != 0) asked.l_type = F_UNLCK;
  return asked;
}

Error holder_error(const std::string& path, const struct flock& lock) {
  return Error{Errc::busy, 0,
               fmt::format("{} is held by a running holdfastd (pid {}); stop it, or choose another "
                           "server.runtime_dir",
                           path, lock.l_type != F_UNLCK ? lock.l_pid : 0)};
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
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (!fd) return Error{Errc::io, errno, fmt::format("open pid file {}", path)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd.get(), F_SETLK, &lock) != 0) {
      if (errno != EAGAIN && errno != EACCES)
        return Error{Errc::io, errno, fmt::format("lock pid file {}", path)};
      struct flock held = lock_in_the_way(fd.get());
      if (held.l_type != F_RDLCK) return holder_error(path, held);
      // No master: who could read a file that others might read has locked it. // I2
      log_warn("pid file {} is locked by pid {}, which is no holdfastd; making another", path,
               held.l_pid);
      if (still_named(path, fd.get())) unlink(path.c_str());
      continue;
    }
    if (!still_named(path, fd.get())) continue;
    if (fchmod(fd.get(), kMode) != 0)  // one of a version before may be there
      return Error{Errc::io, errno, fmt::format("chmod pid file {}", path)};
    std::string text = fmt::format("{}\n", getpid());
    if (ftruncate(fd.get(), 0) != 0 ||
        write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
      return Error{Errc::io, errno, fmt::format("write pid file {}", path)};
    return PidFile(path, std::move(fd));
  }
  return Error{Errc::busy, 0, fmt::format("pid file {} keeps being replaced by others", path)};
}

PidFile PidFile::adopt(const std::string& path, int fd) {
  if (fchmod(fd, kMode) != 0) log_warn("pid file {} stays as others may read it", path);
  return {path, UniqueFd(fd)};
}

PidFile::~PidFile() {
  if (fd_) unlink(path_.c_str());
}

void PidFile::close_in_child() {
  fd_.reset();
}

}  // namespace holdfast::master
