#include "worker/routing/post.h"

#include <utility>

#include "base/log.h"
#include "worker/net/memory_refused.h"
#include "worker/routing/letter_record.h"

namespace holdfast {

Post::Post(Runtime& runtime, const Heritage& heritage, const Intake& intake)
    : runtime_(runtime),
      heritage_(heritage),
      segment_(*heritage.segment),
      intake_(intake),
      max_body_(shm::MailboxRing::max_body(segment_.capacities().mailbox_bytes)),
      slots_(uint16_t(segment_.capacities().max_workers)),
      begun_(slots_),
      outboxes_(slots_),
      doorbell_(runtime.loop, heritage.doorbell_read, *this, Call<&Post::on_doorbell>{}) {
  for (uint16_t s = 0; s < slots_; ++s) {
    in_.push_back(segment_.ring(s, runtime.slot));
    out_.push_back(segment_.ring(runtime.slot, s));
    // A dead predecessor's overflow died with it; a living one's comes to us (restore()).
    if (!heritage.standby && begun(s)) out_.back().set_waiting(false);
  }
  doorbell_.watch(kRead);
}

void Post::read_with(RecordKind kind, OnRecord on_record) {
  readers_[size_t(kind)] = std::move(on_record);
}

bool Post::served(uint16_t slot) const {
  // Dead slots are served by nobody, and their sessions are gone; what is in the ring meanwhile is the successor's to
  // answer, so a slot that is starting counts.
  switch (segment_.slot(slot).state.load(std::memory_order_acquire)) {
    case shm::SlotState::starting:
    case shm::SlotState::serving:
    case shm::SlotState::draining:
      return true;
    case shm::SlotState::free:
    case shm::SlotState::dead:
      return false;
  }
  return false;
}

// The master has seen to the rings before it says that a process was started (Segment::prepare_slot()).
bool Post::begun(uint16_t slot) const {
  if (!begun_[slot])
    begun_[slot] =
        served(slot) || segment_.slot(slot).started_wall_ms.load(std::memory_order_acquire) != 0;
  return begun_[slot];
}

bool Post::send(uint16_t to, RecordKind record_kind, std::string_view body) {
  auto kind = uint32_t(record_kind);
  if (!served(to)) return false;
  Outbox& box = outboxes_[to];
  if (body.size() <= max_body_ && box.waiting.empty()) {
    auto pushed = out_[to].try_push(kind, body);
    if (pushed == shm::MailboxRing::Pushed::yes) {
      box.ring = true;
      runtime_.stats.push_forwarded.add();
      return true;
    }
    if (pushed == shm::MailboxRing::Pushed::no_page) {
      count_memory_refused(runtime_.stats, "pushes to other workers");
      return false;
    }
  }
  if (body.size() > max_body_ ||
      box.waiting_bytes + body.size() > runtime_.config.limits.mailbox_overflow) {  // I2
    runtime_.stats.push_queue_full.add();
    return false;
  }
  if (box.waiting.empty()) box.restarts = restarts(to);
  box.waiting.push_back({kind, std::string(body)});  // I1
  box.waiting_bytes += body.size();
  runtime_.stats.mailbox_overflow_bytes.add(body.size());
  runtime_.stats.push_forwarded.add();
  return true;
}

std::vector<handover::LetterRecord> Post::save() const {
  std::vector<handover::LetterRecord> letters;
  for (uint16_t to = 0; to < slots_; ++to)
    for (const Outbox::Letter& letter : outboxes_[to].waiting)
      letters.push_back({to, letter.kind, letter.body, outboxes_[to].restarts + 1});
  return letters;
}

bool Post::restore(std::vector<handover::LetterRecord>&& letters) {
  for (handover::LetterRecord& letter : letters) {
    if (letter.to >= slots_ || letter.body.size() > max_body_ || letter.kind == shm::kPadding)
      return false;
    Outbox& box = outboxes_[letter.to];
    // The slot may have died on the way.  // I5
    box.restarts = letter.restarts == 0 ? restarts(letter.to) : letter.restarts - 1;
    box.waiting_bytes += letter.body.size();
    box.waiting.push_back({letter.kind, std::move(letter.body)});
  }
  return true;
}

void Post::empty_overflow(uint16_t to, Outbox& box) {
  // Its sessions are gone, so is what was for them.  // I5
  if (!served(to) || box.restarts != restarts(to)) {
    runtime_.stats.push_no_session.add(box.waiting.size());
    runtime_.stats.mailbox_overflow_bytes.sub(box.waiting_bytes);
    box.waiting.clear();
    box.waiting_bytes = 0;
  }
  // Flag first, then one more try: the consumer either made room before the try or sees the flag after.
  if (!box.waiting.empty()) out_[to].set_waiting(true);
  while (!box.waiting.empty() &&
         out_[to].push(box.waiting.front().kind, box.waiting.front().body)) {
    size_t bytes = box.waiting.front().body.size();
    box.waiting.pop_front();
    box.waiting_bytes -= bytes;
    runtime_.stats.mailbox_overflow_bytes.sub(bytes);
    box.ring = true;
  }
  if (box.waiting.empty()) out_[to].set_waiting(false);
}

void Post::dispatch() {
  for (uint16_t to = 0; to < slots_; ++to) {
    Outbox& box = outboxes_[to];
    if (!box.waiting.empty()) empty_overflow(to, box);
    if (!box.ring) continue;
    box.ring = false;
    if (shm::ring_doorbell(segment_.slot(to), heritage_.doorbell_write[to]))
      runtime_.stats.mailbox_doorbells.add();
  }
}

uint32_t Post::restarts(uint16_t slot) const {
  return segment_.slot(slot).restarts.load(std::memory_order_relaxed);
}

void Post::receive_leftovers() {
  for (uint16_t from = 0; from < slots_; ++from) {
    if (from == runtime_.slot || !begun(from)) continue;
    uint64_t end = in_[from].head_count();
    while (int64_t(end - in_[from].tail_count()) > 0 && receive_one(from)) {
    }
    wake_producer(from);
  }
}

void Post::receive_from(uint16_t from) {
  for (unsigned n = 0; n < kTurnRecords && intake_.takes_from(from); ++n)
    if (!receive_one(from)) return;
}

bool Post::receive_one(uint16_t from) {
  shm::MailboxRing& ring = in_[from];
  bool broken = false;
  std::optional<shm::Record> record = ring.front(&broken);
  if (broken) {
    runtime_.stats.push_bad_record.add();
    ring.discard();
  }
  if (!record) return false;
  reads_again_ = ring.used_before();
  if (ring.begin_use()) {
    runtime_.stats.push_received.add();
    read(from, record->kind, record->body);
  } else {
    log_error("record left out: workers have died of it slot={} from={} kind={} bytes={}",
              runtime_.slot, from, record->kind, record->body.size());
    runtime_.stats.push_poison_record.add();
  }
  reads_again_ = false;
  ring.pop();
  return true;
}

void Post::read(uint16_t from, uint32_t kind, std::string_view body) {
  if (kind >= readers_.size() || !readers_[kind]) return runtime_.stats.push_bad_record.add();
  readers_[kind](from, body);
}

void Post::receive() {
  for (uint16_t from = 0; from < slots_; ++from) {
    if (from == runtime_.slot || !has_mail_from(from)) continue;
    receive_from(from);
    wake_producer(from);
  }
}

// It keeps records that did not fit: there is room now.
void Post::wake_producer(uint16_t from) {
  if (in_[from].producer_waits() &&
      shm::ring_doorbell(segment_.slot(from), heritage_.doorbell_write[from]))
    runtime_.stats.mailbox_doorbells.add();
}

bool Post::has_mail() const {
  for (uint16_t from = 0; from < slots_; ++from)
    if (from != runtime_.slot && has_mail_from(from)) return true;
  return false;
}

void Post::announce_sleep() {
  shm::announce_sleep(segment_.slot(runtime_.slot));
}
void Post::announce_awake() {
  shm::announce_awake(segment_.slot(runtime_.slot));
}

void Post::on_doorbell(short) {
  shm::drain_doorbell(heritage_.doorbell_read);
}

}  // namespace holdfast
