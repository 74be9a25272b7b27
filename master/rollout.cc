#include "master/rollout.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace holdfast::master {

Result<void> Rollout::begin(const Generation& generation) {
  HF_CHECK(!active());
  std::vector<uint16_t> empty = slots_.empty_slots();
  if (empty.size() < generation.workers())
    return Error{
        Errc::limit, 0,
        fmt::format("no free slots: {} needed, {} free", generation.workers(), empty.size())};
  for (unsigned ordinal = 0; ordinal < generation.workers(); ++ordinal) {
    auto started = slots_.start(empty[ordinal], generation, ordinal);
    if (!started) {
      abandon();
      return started;
    }
    mine_.push_back(empty[ordinal]);
  }
  return {};
}

bool Rollout::includes(uint16_t slot) const {
  return std::find(mine_.begin(), mine_.end(), slot) != mine_.end();
}

Rollout::News Rollout::on_slot_ready(uint16_t slot) {
  if (!includes(slot)) return News::none;
  if (!std::all_of(mine_.begin(), mine_.end(),
                   [&](uint16_t i) { return slots_[i].phase == Phase::serving; }))
    return News::none;
  mine_.clear();
  return News::done;
}

Rollout::News Rollout::on_slot_crashed(uint16_t slot) const {
  return includes(slot) && slots_[slot].early_deaths >= kMaxEarlyDeaths ? News::failed : News::none;
}

void Rollout::abandon() {
  for (uint16_t i : mine_) slots_.abandon(i);
  mine_.clear();
}

}  // namespace holdfast::master
