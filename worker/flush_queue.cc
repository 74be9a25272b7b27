#include "worker/flush_queue.h"

namespace holdfast {

void Flushable::unlink() {
  if (next_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

FlushQueue::Anchor::Anchor() { prev_ = next_ = this; }
FlushQueue::Anchor::~Anchor() {
  while (next_ != this) next_->unlink();
  prev_ = next_ = nullptr;
}
bool FlushQueue::Anchor::empty() const { return next_ == this; }
Flushable& FlushQueue::Anchor::first() const { return *next_; }
void FlushQueue::Anchor::append(Flushable& item) {
  item.prev_ = prev_;
  item.next_ = this;
  prev_->next_ = &item;
  prev_ = &item;
}
void FlushQueue::Anchor::take_all(Anchor& other) {
  if (other.empty()) return;
  next_ = other.next_;
  prev_ = other.prev_;
  next_->prev_ = this;
  prev_->next_ = this;
  other.prev_ = other.next_ = &other;
}

void FlushQueue::add(Flushable& item, Urgency urgency) {
  if (item.next_ != nullptr) {
    if (item.urgency_ == Urgency::urgent || urgency == Urgency::bulk) return;
    item.unlink();
  }
  item.urgency_ = urgency;
  (urgency == Urgency::urgent ? urgent_ : bulk_).append(item);
}

bool FlushQueue::run() {
  // What flush() adds belongs to the next turn, so the urgent list is walked as it stands now.
  Anchor now;
  now.take_all(urgent_);
  while (!now.empty()) {
    Flushable& item = now.first();
    item.unlink();
    item.flush();
  }
  for (size_t n = 0; n < kBulkSlice && !bulk_.empty(); ++n) {
    Flushable& item = bulk_.first();
    item.unlink();
    item.flush();
  }
  return !urgent_.empty() || !bulk_.empty();
}

}  // namespace holdfast
