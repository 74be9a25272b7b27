#include "worker/net/timing_wheel.h"

#include <algorithm>

namespace holdfast {

void Deadline::disarm() {
  if (next_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

uint64_t Deadline::at_ms() const {
  return armed() ? at_tick_ * TimingWheel::kTickMs : 0;
}

void Deadline::link_before(Deadline& other) {
  next_ = &other;
  prev_ = other.prev_;
  prev_->next_ = this;
  other.prev_ = this;
}

TimingWheel::Anchor::Anchor() {
  prev_ = next_ = this;
}

// What is still armed outlives the wheel only while the worker ends; it must not reach into it then.
TimingWheel::Anchor::~Anchor() {
  while (next_ != this) next_->disarm();
  prev_ = next_ = nullptr;
}

void TimingWheel::arm(Deadline& deadline, uint64_t at_ms) {
  deadline.disarm();
  deadline.at_tick_ = std::max((at_ms + kTickMs - 1) / kTickMs, tick_ + 1);
  deadline.link_before(slots_[deadline.at_tick_ % kSlots]);
}

void TimingWheel::fire_slot(Anchor& slot) {
  // Moved to a list of its own first: callbacks arm into the wheel while it is walked.
  Anchor due;
  while (slot.next_ != &slot) {
    Deadline& d = *slot.next_;
    d.disarm();
    d.link_before(due);
  }
  while (due.next_ != &due) {
    Deadline& d = *due.next_;
    d.disarm();
    if (d.at_tick_ <= tick_) {
      d.on_deadline();
    } else {
      d.link_before(slot);  // a later round
    }
  }
}

void TimingWheel::advance(uint64_t now_ms) {
  uint64_t target = now_ms / kTickMs;
  // After a stall longer than a round each slot is visited once, at the target's time.
  if (target > tick_ + kSlots) tick_ = target - kSlots;
  while (tick_ < target) {
    ++tick_;
    fire_slot(slots_[tick_ % kSlots]);
  }
}

}  // namespace holdfast
