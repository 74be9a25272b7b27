#include "master/handover_broker.h"

#include <algorithm>

#include "base/log.h"
#include "base/process_clock.h"

namespace holdfast::master {

void HandoverBroker::begin(const Generation& generation, const std::vector<Place>& places) {
  generation_ = &generation;
  list_.assign(places.begin(), places.end());
  attempts_ = 0;
  taken_ = 0;
  failures_.clear();
  go_on();
}

// Until one is found that takes time, or the list is done.
void HandoverBroker::go_on() {
  while (active() && over()) {
    list_.pop_front();
    attempts_ = 0;
  }
}

// The turn of the first in the list. True: there is nothing to wait for.
bool HandoverBroker::over() {
  const Place& place = list_.front();
  const Slot& slot = slots_[place.slot];
  step_ = Step::turn;
  if (slot.phase != Phase::empty && slot.generation == generation_) return true;
  switch (slot.phase) {
    case Phase::waiting:
      slots_.renew(place.slot, {generation_, place.ordinal, place.accepts});
      return true;
    case Phase::empty:
      start_anew(place);
      return true;
    case Phase::draining:
      slots_.dismiss(place.slot);
      return true;
    case Phase::starting:
      return false;
    case Phase::serving:
    case Phase::finishing:
      break;
  }
  return !attempt();
}

// One attempt, or the next ones where it fails at once. True: news is on the way.
bool HandoverBroker::attempt() {
  const Place& place = list_.front();
  while (attempts_ < kMaxTakeovers) {
    const auto& successor = slots_[place.slot].successor;
    auto begun = successor && successor->ready ? ask(place) : prepare(place);
    if (begun) return true;
    attempt_failed(begun.error().text());
  }
  log_error("slot stays with its process slot={} generation={} reason=\"{}\"", place.slot,
            slots_[place.slot].generation->number, trouble_);
  failures_.push_back({place.slot, trouble_});
  return false;
}

Result<void> HandoverBroker::prepare(const Place& place) {
  step_ = Step::preparing;
  deadline_ms_ = process_ms() + kPatienceMs;
  if (slots_[place.slot].successor) return {};
  return slots_.stand_by(place.slot, {generation_, place.ordinal, place.accepts});
}

Result<void> HandoverBroker::ask(const Place& place) {
  step_ = Step::asked;
  trouble_ = "its process keeps it, and says why in the log";
  deadline_ms_ = process_ms() + kPatienceMs;
  return slots_.hand_over(place.slot);
}

void HandoverBroker::attempt_failed(const std::string& why) {
  uint16_t slot = list_.front().slot;
  trouble_ = why;
  ++attempts_;
  log_warn("slot not handed over slot={} attempt={} of={} reason=\"{}\"", slot, attempts_,
           kMaxTakeovers, why);
  slots_.dismiss(slot);
}

void HandoverBroker::start_anew(const Place& place) {
  if (!place.accepts) return;
  auto started = slots_.start(place.slot, *generation_, place.ordinal);
  if (!started) failures_.push_back({place.slot, started.error().text()});
}

void HandoverBroker::on_slot_ready(uint16_t slot) {
  if (is_turn_of(slot) && step_ == Step::turn) go_on();
}

void HandoverBroker::on_slot_empty(uint16_t slot) {
  if (is_turn_of(slot)) go_on();
}

// Before its next process is forked, so that is one of the new generation already.
void HandoverBroker::on_slot_crashed(uint16_t slot) {
  auto at = std::find_if(list_.begin(), list_.end(),
                         [slot](const Place& place) { return place.slot == slot; });
  if (at == list_.end()) return;
  if (is_turn_of(slot)) return go_on();
  slots_.renew(slot, {generation_, at->ordinal, at->accepts});
  list_.erase(at);
}

void HandoverBroker::on_succession(uint16_t slot, Succession news) {
  if (!is_turn_of(slot)) return;  // that one's turn will see it
  switch (news) {
    case Succession::ready:
      break;
    case Succession::died:
      return on_died();
    case Succession::kept:
      attempt_failed(trouble_);
      break;
    case Succession::taken:
      ++taken_;
      break;
  }
  go_on();  // which looks at what is there now
}

void HandoverBroker::on_died() {
  if (step_ == Step::preparing) {
    attempt_failed("its successor died before it was ready");
    go_on();
  } else {
    trouble_ = "its successor died while it took over";
  }
}

void HandoverBroker::check(uint64_t now_ms) {
  if (!active() || step_ == Step::turn || now_ms < deadline_ms_) return;
  uint16_t slot = list_.front().slot;
  switch (step_) {
    case Step::turn:
      return;
    case Step::preparing:
      attempt_failed(fmt::format("its successor was not ready after {} s", kPatienceMs / 1000));
      return go_on();
    case Step::asked:
      trouble_ = fmt::format("not handed over after {} s", kPatienceMs / 1000);
      log_error("slot not handed over slot={}; ending its successor", slot);
      step_ = Step::mute;
      deadline_ms_ = now_ms + kLastWordMs;
      return slots_.dismiss(slot);
    case Step::mute:
      attempts_ = kMaxTakeovers;
      return go_on();
  }
}

}  // namespace holdfast::master
