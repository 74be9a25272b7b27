#include "shm/mailbox.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Everything in a ring begins at a multiple of 8.
uint64_t aligned(uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

uint64_t record_bytes(size_t body) {
  return kRecordHead + aligned(body);
}

struct RecordHead {
  uint32_t body_bytes;
  uint32_t kind;
};
static_assert(sizeof(RecordHead) == kRecordHead);

void put_head(char* to, uint64_t body_bytes, uint32_t kind) {
  RecordHead head{uint32_t(body_bytes), kind};
  std::memcpy(to, &head, sizeof head);
}

}  // namespace

// The bytes of a record at `at`, and of the head that follows it.  // I7
bool MailboxRing::writable(uint64_t at, uint64_t need) const {
  uint64_t bytes = std::min(need + kRecordHead, mask_ + 1 - at);
  return ensured(pages_, bytes_ + at, bytes, std::min(Pages::kAhead, mask_ + 1 - at - bytes));
}

// The acquire of tail pairs with pop()'s release: the consumer has read what is about to be
// overwritten.
MailboxRing::Pushed MailboxRing::try_push(uint32_t kind, std::string_view body) {
  uint64_t capacity = mask_ + 1;
  HF_CHECK(kind != kPadding && body.size() <= max_body(uint32_t(capacity)));
  uint64_t head = aligned(head_->head.load(kRelaxed));  // no change unless scribbled on  // I5
  uint64_t used = head - head_->tail.load(std::memory_order_acquire);
  if (used > capacity) return Pushed::full;  // I5
  uint64_t need = record_bytes(body.size());
  uint64_t at = head & mask_, to_end = capacity - at;
  bool fits = need <= to_end && (used != 0 || at < turn() || need > at);
  if (fits && used + need <= capacity) {
    if (writable(at, need)) return put(head, 0, kind, body);
    fits = false;
  }
  if (fits) return Pushed::full;
  // From the first byte on, where there is room once the consumer has taken what is in the ring.
  if (need > at || !writable(at, 0) || !writable(0, need))
    return need > to_end && used != 0 ? Pushed::full : Pushed::no_page;
  if (used + to_end + need > capacity) return Pushed::full;
  return put(head, to_end, kind, body);
}

MailboxRing::Pushed MailboxRing::put(uint64_t head, uint64_t padding, uint32_t kind,
                                     std::string_view body) {
  if (padding != 0) {
    put_head(bytes_ + (head & mask_), padding - kRecordHead, kPadding);
    head += padding;
  }
  char* to = bytes_ + (head & mask_);
  put_head(to, body.size(), kind);
  if (!body.empty()) std::memcpy(to + kRecordHead, body.data(), body.size());
  head_->head.store(head + record_bytes(body.size()), std::memory_order_release);  // I1
  return Pushed::yes;
}

// The acquire of head pairs with push()'s release: the bytes below head are there.
std::optional<Record> MailboxRing::front(bool* broken) {
  *broken = false;
  for (;;) {
    uint64_t head = head_->head.load(std::memory_order_acquire);
    uint64_t tail = head_->tail.load(kRelaxed);
    if (head == tail) return {};
    tail = aligned(tail);
    uint64_t filled = head - tail;  // huge if tail is past head
    uint64_t at = tail & mask_;     // at most capacity - 8
    RecordHead record;
    std::memcpy(&record, bytes_ + at, sizeof record);
    uint64_t need = record_bytes(record.body_bytes);
    if (filled > mask_ + 1 || need > filled || at + need > mask_ + 1) {  // I5
      *broken = true;
      return {};
    }
    if (record.kind != kPadding)
      return Record{record.kind, {bytes_ + at + kRecordHead, record.body_bytes}};
    head_->tail.store(tail + need, std::memory_order_release);
  }
}

bool MailboxRing::used_before() const {
  return head_->uses.load(kRelaxed) > 0;
}

bool MailboxRing::begin_use() {
  uint32_t uses = head_->uses.load(kRelaxed);
  if (uses >= kMostUses) return false;
  head_->uses.store(uses + 1, kRelaxed);
  return true;
}

// A length scribbled on since front() leads past head, which the next front() calls broken.
void MailboxRing::pop() {
  uint64_t tail = aligned(head_->tail.load(kRelaxed));
  uint32_t body_bytes;
  std::memcpy(&body_bytes, bytes_ + (tail & mask_), sizeof body_bytes);
  // Killed between the two, the next record is tried once less.
  head_->tail.store(tail + record_bytes(body_bytes), std::memory_order_release);  // I2
  head_->uses.store(0, kRelaxed);                                                 // I6
}

void MailboxRing::discard() {
  head_->tail.store(head_->head.load(std::memory_order_acquire), std::memory_order_release);
  head_->uses.store(0, kRelaxed);
}

bool MailboxRing::empty() const {
  return used_bytes() == 0;
}

uint64_t MailboxRing::used_bytes() const {
  uint64_t tail = tail_count();
  return head_count() - tail;
}

uint64_t MailboxRing::head_count() const {
  return head_->head.load(std::memory_order_acquire);
}
uint64_t MailboxRing::tail_count() const {
  return head_->tail.load(std::memory_order_acquire);
}

// I3 and I4 are both Dekker's pattern: each side stores its own word, passes a full fence, reads
// the other's; at least one then sees the other. Without the fences both could read first, since a
// processor lets a load overtake a store.
//   I3  producer: waiting = 1 | tail       consumer: tail | waiting
//   I4  consumer: sleeping = 1 | heads     producer: head | sleeping
void MailboxRing::set_waiting(bool waiting) {
  head_->waiting.store(waiting ? 1 : 0, kRelaxed);
  if (waiting) std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool MailboxRing::producer_waits() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return head_->waiting.load(kRelaxed) != 0;
}

void announce_sleep(SlotHead& me) {
  me.sleeping.store(1, kRelaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void announce_awake(SlotHead& me) {
  me.sleeping.exchange(0, std::memory_order_acq_rel);
}

bool ring_doorbell(SlotHead& other, int doorbell_write_fd) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // The load spares the exchange, which would take the cache line from a consumer that is awake.
  if (other.sleeping.load(kRelaxed) == 0) return false;
  if (other.sleeping.exchange(0, std::memory_order_acq_rel) == 0) return false;
  char byte = 1;
  ssize_t written;
  do {
    written = write(doorbell_write_fd, &byte, 1);
  } while (written == -1 && errno == EINTR);
  // EAGAIN: the pipe is full of bells already, one of them wakes it. EPIPE: its worker and the
  // master are dead.
  HF_CHECK(written == 1 || errno == EAGAIN || errno == EPIPE);
  return written == 1;
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
