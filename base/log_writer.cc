#include "base/log_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace holdfast {
namespace {

constexpr int kHow = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// Without an own description: RWF_NOWAIT where the kernel has it for this kind of file, else only what must find room.
ssize_t put_carefully(int fd, std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  ssize_t put = pwritev2(fd, &part, 1, -1, RWF_NOWAIT);
  if (put != -1 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)) return put;
  pollfd one{.fd = fd, .events = POLLOUT, .revents = 0};
  if (poll(&one, 1, 0) != 1 || (one.revents & POLLOUT) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return write(fd, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
}

}  // namespace

Result<LogWriter> LogWriter::to_file(const std::string& path) {
  UniqueFd file(open(path.c_str(), kHow | O_CREAT, 0644));
  if (file) return LogWriter(std::move(file));
  int error = errno;
  return Error{Errc::io, error, "open log " + path + (error == ENXIO ? ": nobody reads it" : "")};
}

void LogWriter::look_at_stderr() {
  struct stat about {};
  if (fstat(STDERR_FILENO, &about) != 0) return;
  if (about.st_dev == device_ && about.st_ino == inode_) return;
  device_ = about.st_dev;
  inode_ = about.st_ino;
  file_.reset();
  way_ = S_ISSOCK(about.st_mode) ? Way::socket : Way::plain;
  bool waits = S_ISFIFO(about.st_mode) || (S_ISCHR(about.st_mode) && isatty(STDERR_FILENO) == 1);
  if (!waits) return;
  file_.reset(open("/proc/self/fd/2", kHow));
  way_ = file_ ? Way::own : Way::carefully;
}

ssize_t LogWriter::put(std::string_view bytes) const {
  int fd = file_ ? file_.get() : STDERR_FILENO;
  ssize_t put;
  do {
    if (way_ == Way::socket) {
      put = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (way_ == Way::carefully) {
      put = put_carefully(fd, bytes);
    } else {
      put = ::write(fd, bytes.data(), bytes.size());
    }
  } while (put == -1 && errno == EINTR);
  return put;
}

bool LogWriter::flush() {
  if (!is_file_) look_at_stderr();
  while (!rest_.empty()) {
    ssize_t done = put(rest_);
    if (done <= 0) return false;
    rest_.erase(0, size_t(done));
  }
  return true;
}

bool LogWriter::write(std::string_view line) {
  if (!flush()) return false;
  ssize_t done = put(line);
  if (done <= 0) return false;
  rest_ = line.substr(size_t(done));
  flush();
  return true;
}

}  // namespace holdfast
