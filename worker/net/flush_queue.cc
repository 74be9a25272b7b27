#include "worker/net/flush_queue.h"

namespace holdfast {

void Flushable::unlink() {
  if (next_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

FlushQueue::Anchor::Anchor() {
  prev_ = next_ = this;
}
FlushQueue::Anchor::~Anchor() {
  while (next_ != this) next_->unlink();
  prev_ = next_ = nullptr;
}
bool FlushQueue::Anchor::empty() const {
  return next_ == this;
}
Flushable& FlushQueue::Anchor::first() const {
  return *next_;
}
void FlushQueue::Anchor::append(Flushable& item) {
  item.prev_ = prev_;
  item.next_ = this;
  prev_->next_ = &item;
  prev_ = &item;
}
void FlushQueue::Anchor::append_all(Anchor& other) {
  if (other.empty()) return;
  other.next_->prev_ = prev_;
  prev_->next_ = other.next_;
  other.prev_->next_ = this;
  prev_ = other.prev_;
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

void FlushQueue::flush_first(Anchor& list) {
  Flushable& item = list.first();
  item.unlink();
  item.flush();
}

bool FlushQueue::run() {
  // What flush() adds belongs to the next turn, so both lists are walked as they stand now.
  Anchor urgent, bulk;
  urgent.append_all(urgent_);
  bulk.append_all(bulk_);
  while (!urgent.empty()) flush_first(urgent);
  for (size_t n = 0; n < kBulkSlice && !bulk.empty(); ++n) flush_first(bulk);
  bulk.append_all(bulk_);  // behind those that waited longer
  bulk_.append_all(bulk);
  return !urgent_.empty() || !bulk_.empty();
}

}  // namespace holdfast
