#include "worker/sessions/expiry.h"

namespace holdfast {

void Expiry::set(uint32_t index, uint64_t wall_s) {
  forget(index);  // I1
  times_.emplace(index, wall_s);
  next_.emplace(wall_s, index);
}

void Expiry::forget(uint32_t index) {
  auto it = times_.find(index);
  if (it == times_.end()) return;
  next_.erase({it->second, it->first});
  times_.erase(it);
}

uint64_t Expiry::of(uint32_t index) const {
  auto it = times_.find(index);
  return it == times_.end() ? 0 : it->second;
}

std::optional<uint32_t> Expiry::take_due(uint64_t now_wall_s) {
  if (next_.empty() || next_.begin()->first > now_wall_s) return {};
  uint32_t index = next_.begin()->second;
  forget(index);
  return index;
}

}  // namespace holdfast
