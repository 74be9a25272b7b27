// shm/pages.h - which pages of the segment have memory behind them.
//
// The segment is sparse, and the file system it lies in (tmpfs, in a container 64 MiB by default) may be full. A process that
// then touches a page that is not there, by a load just as by a store, dies of SIGBUS. So a writer asks for its pages first,
// and passes a "no" on as its own answer: a refused push, session or key.
//
// Each process has its own knowledge: a page, once there, stays as long as the file. A process that knows nothing yet
// asks the kernel again, which costs a system call and no memory. So there is nothing to write down in the segment, nothing
// to hand over, and a segment that an older version has made is no special case.
//
// Invariants
//   I1  Nobody touches a page before ensure() or there() has said yes for it in this process or one it was forked from.
//       Exceptions: pages that create() and adopt() have ensured (listed in layout.h), and pages that a word in the segment
//       vouches for: the high water of a slab, head and tail of a ring.
//   I2  A writer ensures, then writes, then publishes. So everything that a reader sees published is there, and a page that
//       is not there means nothing: there() needs no memory, and a hole reads as zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace holdfast::shm {

class Pages {
 public:
  // How much more than is asked for is taken in one call if the caller writes on and on.
  static constexpr size_t kAhead = size_t{64} * 1024;

  // `bytes` from `base` are the file `fd` from its beginning. Nobody has looked yet.
  Pages(int fd, char* base, size_t bytes);

  // From now on there is memory behind these bytes; false: the file system or the memory's limit has no more, and nothing has
  // changed. `ahead`: so many bytes after them are taken too, if they can be had.
  bool ensure(const void* at, size_t bytes, size_t ahead = 0);
  // Is there memory behind these bytes? Takes none.
  bool there(const void* at, size_t bytes);

  // For tests: from now on the file system has so many pages left.
  void pretend_left(size_t pages) {
    pretended_ = true;
    left_ = pages;
  }

 private:
  struct Range {
    size_t first, end;  // page numbers
  };
  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }  // NOLINT: calloc's
  };
  Range range_of(const void* at, size_t bytes) const;
  bool known(size_t page) const { return (known_.get()[page / 64] >> (page % 64) & 1) != 0; }
  bool all_known(Range range) const;
  bool allocate(Range range);
  void learn(Range range);

  int fd_;
  const char* base_;
  size_t bytes_;
  std::unique_ptr<uint64_t[], Free>
      known_;  // a bit for each page; of a huge one untouched parts cost nothing
  bool pretended_ = false;
  size_t left_ = 0;
};

// Memory that is no segment's (tests) is always there.
inline bool ensured(Pages* pages, const void* at, size_t bytes, size_t ahead = 0) {
  return pages == nullptr || pages->ensure(at, bytes, ahead);
}
inline bool is_there(Pages* pages, const void* at, size_t bytes) {
  return pages == nullptr || pages->there(at, bytes);
}

}  // namespace holdfast::shm
