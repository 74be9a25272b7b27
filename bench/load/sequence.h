// bench/load/sequence.h - did every message come once and in order?
//
// One check for each connection and addressee. Sequences start at 1. A number that is skipped
// counts as missing at once; if it comes later it is a reorder instead. One that came before is a
// duplicate. The last 64 numbers are remembered; an older one that comes (again) counts as a
// reorder.
#pragma once

#include <cstdint>

namespace holdfast::bench {

enum class Arrival : uint8_t { in_order, after_gap, late, duplicate };

class SequenceCheck {
 public:
  Arrival arrived(uint64_t sequence) {
    if (sequence > last_) return ahead(sequence);
    uint64_t age = last_ - sequence;
    if (age >= 64) return Arrival::late;
    uint64_t bit = uint64_t{1} << age;
    if ((seen_ & bit) != 0) return Arrival::duplicate;
    seen_ |= bit;
    --missing_;
    return Arrival::late;
  }
  // Nothing above `last` was sent; what is missing at the end counts too.
  uint64_t missing_of(uint64_t last) const { return missing_ + (last > last_ ? last - last_ : 0); }
  uint64_t last() const { return last_; }

 private:
  Arrival ahead(uint64_t sequence) {
    uint64_t step = sequence - last_;
    seen_ = step >= 64 ? 1 : (seen_ << step) | 1;
    missing_ += step - 1;
    last_ = sequence;
    return step == 1 ? Arrival::in_order : Arrival::after_gap;
  }

  uint64_t last_ = 0;
  uint64_t missing_ = 0;
  uint64_t seen_ = 0;  // bit n: last_ - n has come
};

}  // namespace holdfast::bench
