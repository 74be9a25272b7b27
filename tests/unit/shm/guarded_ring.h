// tests/unit/shm/guarded_ring.h - a mailbox ring between two pages that may not be touched.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>

#include "shm/mailbox.h"

namespace holdfast::shm {

// `capacity` bytes that end where a forbidden page begins; the page before them is forbidden too if
// capacity is a multiple of a page, else some bytes before them are canaries.
class GuardedRing {
 public:
  explicit GuardedRing(uint32_t capacity) : capacity_(capacity) {
    inner_ = (capacity + kPage - 1) / kPage * kPage;
    map_ = static_cast<char*>(
        mmap(nullptr, inner_ + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    if (mprotect(map_ + kPage, inner_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    std::memset(map_ + kPage, kCanary, inner_ - capacity_);
  }
  GuardedRing(const GuardedRing&) = delete;
  GuardedRing& operator=(const GuardedRing&) = delete;
  ~GuardedRing() {
    for (const char* c = map_ + kPage; c < bytes(); ++c)
      if (*c != kCanary) {
        ADD_FAILURE() << "a byte before the ring was overwritten";
        break;
      }
    munmap(map_, inner_ + 2 * kPage);
  }

  RingHead& head() { return *head_; }
  char* bytes() { return map_ + kPage + inner_ - capacity_; }
  MailboxRing ring() { return {head_.get(), bytes(), capacity_}; }

 private:
  static constexpr char kCanary = '\x5a';
  uint32_t capacity_;
  size_t inner_;
  char* map_;
  std::unique_ptr<RingHead> head_ = std::make_unique<RingHead>();
};

}  // namespace holdfast::shm
