#include "conf/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "conf/units.h"

namespace holdfast::conf {

Result<WholeFile> read_whole(const std::string& path, size_t max_bytes) {
  // A key with \u0000 in it must not name another file than the one it shows.
  if (path.find('\0') != path.npos) return Error{Errc::config, 0, "a path cannot contain NUL"};
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Error{Errc::io, errno, "cannot open it"};
  struct stat about;
  if (fstat(fd.get(), &about) == -1) return Error{Errc::io, errno, "cannot look at it"};
  if (!S_ISREG(about.st_mode)) return Error{Errc::config, 0, "not a regular file"};

  WholeFile file{"", about.st_mode & 07777u};
  char chunk[16 * 1024];
  while (true) {
    ssize_t got = read(fd.get(), chunk, sizeof chunk);
    if (got == -1 && errno == EINTR) continue;
    if (got == -1) return Error{Errc::io, errno, "cannot read it"};
    if (got == 0) return file;
    file.text.append(chunk, size_t(got));
    if (file.text.size() > max_bytes) {
      return Error{Errc::limit, 0, "larger than " + format_size(max_bytes)};
    }
  }
}

}  // namespace holdfast::conf
