#include "worker/net/half_open.h"

#include <algorithm>
#include <cstring>

#include "worker/net/runtime.h"

namespace holdfast {
namespace {

HalfOpen::Key key_of(const in6_addr& address) {
  HalfOpen::Key key{};
  std::memcpy(key.data(), &address, IN6_IS_ADDR_V4MAPPED(&address) ? key.size() : 8);
  return key;
}

}  // namespace

HalfOpen::Entry::~Entry() {
  if (in_ != nullptr) in_->leave(*this);
}

void HalfOpen::enter(Entry& entry, const std::optional<in6_addr>& address) {
  entry.in_ = this;
  entry.by_age_ = all_.insert(all_.end(), &entry);
  if (address) {
    Key key = key_of(*address);
    entry.group_ = &groups_[key];
    entry.group_->key = key;
    entry.in_group_ = entry.group_->entries.insert(entry.group_->entries.end(), &entry);
  }
  runtime_.stats.tls_half_open.add();
  bound(entry);
}

void HalfOpen::leave(Entry& entry) {
  if (entry.in_ == nullptr) return;
  holds(entry, 0);
  all_.erase(entry.by_age_);
  if (entry.waits_) line_.erase(entry.in_line_);
  if (Group* group = entry.group_) {
    group->entries.erase(entry.in_group_);
    if (group->entries.empty()) groups_.erase(Key(group->key));
  }
  entry.in_ = nullptr;
  entry.group_ = nullptr;
  entry.waits_ = false;
  runtime_.stats.tls_half_open.sub();
}

void HalfOpen::holds(Entry& entry, size_t bytes) {
  if (entry.in_ == nullptr || bytes == entry.bytes_) return;
  bool more = bytes > entry.bytes_;
  auto change = [&](size_t& sum) { sum = sum - entry.bytes_ + bytes; };
  change(bytes_);
  if (entry.group_ != nullptr) change(entry.group_->bytes);
  if (more) {
    runtime_.stats.tls_half_open_bytes.add(bytes - entry.bytes_);
  } else {
    runtime_.stats.tls_half_open_bytes.sub(entry.bytes_ - bytes);
  }
  entry.bytes_ = bytes;
  if (more) bound(entry);
}

// Whoever has just begun, or grown, stays.
void HalfOpen::bound(Entry& newest) {
  const conf::Limits& limits = runtime_.config.limits;
  if (Group* group = newest.group_)
    make_room(group->entries, group->bytes, limits.max_tls_handshakes_per_ip,
              "max_tls_handshakes_per_ip", newest);
  make_room(all_, bytes_, limits.max_tls_handshakes, "max_tls_handshakes", newest);
}

void HalfOpen::make_room(std::list<Entry*>& entries, const size_t& bytes, size_t most,
                         const char* limit, const Entry& but) {
  while (entries.size() > 1 && (entries.size() > most || bytes > most * kBytesEach)) {
    Entry& oldest = entries.front() != &but ? *entries.front() : **std::next(entries.begin());
    runtime_.stats.tls_shed.add();
    if (uint64_t n = gate_.pass())
      log_warn("TLS hand-shake ended, too many are under way limit={} under_way={} times={}", limit,
               entries.size(), n);
    leave(oldest);
    oldest.shed();
  }
}

bool HalfOpen::its_turn(Entry& entry) {
  if (entry.waits_) return false;
  if (line_.empty() && spent_ < kShare && !runtime_.budget.turn_spent()) return true;
  entry.waits_ = true;
  entry.in_line_ = line_.insert(line_.end(), &entry);
  runtime_.stats.tls_waited.add();
  runtime_.flush.add(*this, Urgency::urgent);
  return false;
}

// A turn is what the cost is measured with, so more than one of them says nothing more.
void HalfOpen::spend(uint64_t microseconds) {
  auto units = std::max(int64_t(std::min<uint64_t>(microseconds, TurnBudget::kTurn)), kLeastStep);
  runtime_.budget.spend(units);
  spent_ += units;
  runtime_.flush.add(*this, Urgency::urgent);  // to begin anew
}

void HalfOpen::flush() {
  spent_ = 0;
  while (!line_.empty() && spent_ < kShare) {  // I1
    Entry& next = *line_.front();
    line_.pop_front();
    next.waits_ = false;
    next.go_on();
  }
  if (!line_.empty()) runtime_.flush.add(*this, Urgency::urgent);
}

}  // namespace holdfast
