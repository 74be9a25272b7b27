#include "master/standbys.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::master {

Result<void> Standbys::begin(const Generation& generation, const std::vector<Place>& places) {
  HF_CHECK(state_ == State::idle);
  generation_ = &generation;
  state_ = State::waiting;
  for (const Place& place : places) {
    list_.push_back({place, slots_[place.slot].phase == Phase::empty});
    auto prepared = prepare(list_.back());
    if (prepared) continue;
    list_.pop_back();
    abandon();
    return prepared;
  }
  look();  // every slot may wait for its next process
  return {};
}

Result<void> Standbys::prepare(Preparation& preparation) {
  const Place& place = preparation.place;
  if (preparation.is_new) return slots_.start(place.slot, *generation_, place.ordinal);
  if (!slots_[place.slot].process) return {};
  return slots_.stand_by(place.slot, {generation_, place.ordinal, place.accepts});
}

Standbys::Preparation* Standbys::find(uint16_t slot) {
  auto at = std::find_if(list_.begin(), list_.end(),
                         [slot](const Preparation& p) { return p.place.slot == slot; });
  return at == list_.end() ? nullptr : &*at;
}

bool Standbys::is_ready(const Preparation& preparation) const {
  const Slot& slot = slots_[preparation.place.slot];
  if (preparation.is_new) return slot.phase == Phase::serving;
  // Without one: the slot had no process when this began, and gets its terms later.
  return !slot.successor || slot.successor->ready;
}

void Standbys::look() {
  if (state_ != State::waiting) return;
  if (std::all_of(list_.begin(), list_.end(), [this](const auto& p) { return is_ready(p); }))
    state_ = State::ready;
}

void Standbys::on_slot_ready(uint16_t) {
  look();
}

void Standbys::on_slot_crashed(uint16_t slot) {
  const Preparation* preparation = find(slot);
  if (preparation == nullptr || !preparation->is_new) return;
  if (slots_[slot].early_deaths >= kMaxDeaths)
    fail(fmt::format("a new worker died {} times before it was ready", kMaxDeaths));
}

void Standbys::on_slot_empty(uint16_t slot) {
  Preparation* preparation = find(slot);
  if (preparation == nullptr) return;
  preparation->is_new = true;
  if (!preparation->place.accepts) {
    std::erase_if(list_, [slot](const Preparation& p) { return p.place.slot == slot; });
  } else if (auto started = prepare(*preparation); !started) {
    fail(started.error().text());
  }
  look();
}

void Standbys::on_succession(uint16_t slot, Succession news) {
  Preparation* preparation = find(slot);
  if (preparation == nullptr) return;
  if (news == Succession::died) {
    if (++preparation->deaths >= kMaxDeaths)
      return fail(fmt::format("a new worker died {} times before it was ready", kMaxDeaths));
    if (auto prepared = prepare(*preparation); !prepared) return fail(prepared.error().text());
  }
  look();
}

std::vector<Place> Standbys::release() {
  std::vector<Place> places;
  for (const Preparation& preparation : list_) places.push_back(preparation.place);
  list_.clear();
  state_ = State::idle;
  return places;
}

void Standbys::abandon() {
  std::vector<Preparation> list = std::move(list_);
  list_.clear();
  state_ = State::idle;
  for (const Preparation& preparation : list) {
    if (preparation.is_new)
      slots_.abandon(preparation.place.slot);
    else
      slots_.dismiss(preparation.place.slot);
  }
}

void Standbys::fail(const std::string& why) {
  state_ = State::failed;
  why_ = why;
}

}  // namespace holdfast::master
