#include "shm/mailbox.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

size_t record_bytes(size_t body) { return kRecordHead + (body + 7) / 8 * 8; }

struct RecordHead {
  uint32_t body_bytes;
  uint32_t kind;
};
static_assert(sizeof(RecordHead) == kRecordHead);

}  // namespace

bool MailboxRing::push(uint32_t kind, std::string_view body) {
  uint64_t capacity = mask_ + 1;
  HF_CHECK(kind != kPadding && body.size() <= max_body(uint32_t(capacity)));
  uint64_t head = head_->head.load(kRelaxed);
  uint64_t used = head - head_->tail.load(std::memory_order_acquire);
  uint64_t need = record_bytes(body.size());
  uint64_t to_end = capacity - (head & mask_);
  uint64_t padding = need > to_end ? to_end : 0;
  if (used > capacity || used + padding + need > capacity) return false;
  if (padding != 0) {
    RecordHead pad{uint32_t(padding - kRecordHead), kPadding};
    std::memcpy(bytes_ + (head & mask_), &pad, sizeof pad);
    head += padding;
  }
  RecordHead record{uint32_t(body.size()), kind};
  char* to = bytes_ + (head & mask_);
  std::memcpy(to, &record, sizeof record);
  if (!body.empty()) std::memcpy(to + kRecordHead, body.data(), body.size());
  head_->head.store(head + need, std::memory_order_release);  // I1
  return true;
}

std::optional<Record> MailboxRing::front(bool* broken) {
  *broken = false;
  for (;;) {
    uint64_t tail = head_->tail.load(kRelaxed);
    uint64_t filled = head_->head.load(std::memory_order_acquire) - tail;
    if (filled == 0) return {};
    uint64_t at = tail & mask_;
    RecordHead record;
    std::memcpy(&record, bytes_ + at, sizeof record);
    uint64_t need = record_bytes(record.body_bytes);
    if (filled > mask_ + 1 || need > filled || at + need > mask_ + 1) {
      *broken = true;
      return {};
    }
    if (record.kind != kPadding) return Record{record.kind, {bytes_ + at + kRecordHead, record.body_bytes}};
    head_->tail.store(tail + need, std::memory_order_release);
  }
}

void MailboxRing::pop() {
  uint64_t tail = head_->tail.load(kRelaxed);
  uint32_t body_bytes;
  std::memcpy(&body_bytes, bytes_ + (tail & mask_), sizeof body_bytes);
  head_->tail.store(tail + record_bytes(body_bytes), std::memory_order_release);  // I2
}

void MailboxRing::discard() {
  head_->tail.store(head_->head.load(std::memory_order_acquire), std::memory_order_release);
}

bool MailboxRing::empty() const { return used_bytes() == 0; }

uint64_t MailboxRing::used_bytes() const {
  return head_->head.load(std::memory_order_acquire) - head_->tail.load(kRelaxed);
}

// I4 is Dekker's pattern: each side stores its own word, passes a full fence, reads the other's. The consumer stores
// `sleeping` and reads the heads; the producer stores head and reads `sleeping`. At least one sees the other.
void announce_sleep(SlotHead& me) {
  me.sleeping.store(1, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void announce_awake(SlotHead& me) { me.sleeping.store(0, std::memory_order_seq_cst); }

bool ring_doorbell(SlotHead& other, int doorbell_write_fd) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (other.sleeping.load(kRelaxed) == 0 || other.sleeping.exchange(0, std::memory_order_seq_cst) == 0) return false;
  char byte = 1;
  ssize_t written;
  do {
    written = write(doorbell_write_fd, &byte, 1);
  } while (written == -1 && errno == EINTR);
  // EAGAIN: the pipe is full of bells already, one of them wakes it.
  HF_CHECK(written == 1 || errno == EAGAIN);
  return true;
}

void drain_doorbell(int doorbell_read_fd) {
  char bytes[256];
  for (;;) {
    ssize_t got = read(doorbell_read_fd, bytes, sizeof bytes);
    if (got == ssize_t(sizeof bytes) || (got == -1 && errno == EINTR)) continue;
    return;
  }
}

}  // namespace holdfast::shm
