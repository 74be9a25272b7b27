#include "worker/net/input_queue.h"

#include "worker/net/connection.h"

namespace holdfast {

Undecoded::Undecoded(InputQueue& queue, Connection& owner, std::span<const char> bytes, Gauge gauge)
    : queue_(queue), owner_(owner), bytes_(bytes.data(), bytes.size()) {
  queue_.held_ += bytes_.size();
  if (gauge == Gauge::counts) queue_.runtime_.stats.bytes_undecoded.add(bytes_.size());
}

Undecoded::~Undecoded() {
  stand_aside();
  queue_.held_ -= bytes_.size();
  queue_.runtime_.stats.bytes_undecoded.sub(bytes_.size() - used_);
}

void Undecoded::take(size_t bytes) {
  used_ += bytes;
  queue_.runtime_.stats.bytes_undecoded.sub(bytes);
}

void Undecoded::append(std::span<const char> bytes) {
  bytes_.append(bytes.data(), bytes.size());
  queue_.held_ += bytes.size();
  queue_.runtime_.stats.bytes_undecoded.add(bytes.size());
}

void Undecoded::join() {
  if (!spare_.empty()) queue_.waiting_.splice(queue_.waiting_.end(), spare_, place_);
}

void Undecoded::stand_aside() {
  if (spare_.empty()) spare_.splice(spare_.end(), queue_.waiting_, place_);
}

bool InputQueue::run() {
  TurnBudget& budget = runtime_.budget;
  // Round by round, while a round gets anybody on: where the router is congested, those who publish do not.
  for (int64_t before = budget.left() + 1; !waiting_.empty() && budget.left() < before;) {
    before = budget.left();
    for (size_t n = waiting_.size(); n > 0 && !waiting_.empty(); --n) {
      Undecoded& first = *waiting_.front();
      first.stand_aside();
      first.owner_.go_on();  // which joins again, or has nothing left
      if (budget.left() <= TurnBudget::kTurn / 2) return !waiting_.empty();
    }
  }
  return !waiting_.empty();
}

}  // namespace holdfast
