#include "shm/pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "shm/layout.h"

namespace holdfast::shm {

Pages::Pages(int fd, char* base, size_t bytes) : fd_(fd), base_(base), bytes_(bytes) {
  // Zeros that cost nothing before they are written, however large the segment is.
  size_t words = bytes / kPage / 64 + 1;
  known_.reset(static_cast<uint64_t*>(std::calloc(words, sizeof(uint64_t))));  // NOLINT
  if (!known_) throw std::bad_alloc();
}

Pages::Range Pages::range_of(const void* at, size_t bytes) const {
  auto offset = size_t(static_cast<const char*>(at) - base_);
  return {offset / kPage, std::min((offset + bytes + kPage - 1) / kPage, bytes_ / kPage)};
}

bool Pages::all_known(Range range) const {
  for (size_t page = range.first; page < range.end; ++page)
    if (!known(page)) return false;
  return true;
}

void Pages::learn(Range range) {
  for (size_t page = range.first; page < range.end; ++page)
    known_.get()[page / 64] |= uint64_t{1} << (page % 64);
}

bool Pages::ensure(const void* at, size_t bytes, size_t ahead) {
  Range range = range_of(at, bytes);
  if (all_known(range)) return true;
  Range more = range;
  if (ahead > 0) more.end = std::max(range_of(at, bytes + ahead).end, range.end);
  return (more.end > range.end && allocate(more)) || allocate(range);
}

// fallocate(2) takes all or nothing, and leaves alone what is there.
bool Pages::allocate(Range range) {
  if (pretended_) {
    size_t missing = 0;
    for (size_t page = range.first; page < range.end; ++page) missing += !known(page);
    if (missing > left_) return false;
    left_ -= missing;
  }
  int failed;
  do {
    failed =
        fallocate(fd_, 0, off_t(range.first * kPage), off_t((range.end - range.first) * kPage));
  } while (failed != 0 && errno == EINTR);
  // A file system that cannot promise is one that need not.
  if (failed != 0 && errno != EOPNOTSUPP && errno != ENOSYS) return false;
  learn(range);
  return true;
}

bool Pages::there(const void* at, size_t bytes) {
  Range range = range_of(at, bytes);
  if (all_known(range)) return true;
  off_t hole = lseek(fd_, off_t(range.first * kPage), SEEK_HOLE);
  if (hole != -1 && hole < off_t(range.end * kPage)) return false;
  learn(range);
  return true;
}

}  // namespace holdfast::shm
