#include "worker/api/resp/subscriber.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace holdfast::api {
namespace {

// As the Hub has it.
std::string hub_name(NameKind kind, std::string_view name) {
  return kind == NameKind::channel ? std::string(name) : reserved_name(kind, name);
}

}  // namespace

size_t RespSubscriber::count(NameKind kind) const {
  if (kind == NameKind::pattern) return patterns_;
  if (kind == NameKind::shard) return shards_;
  return memberships.size() - patterns_ - shards_;
}

// Some may be there already, or be named twice.
bool RespSubscriber::has_room_for(NameKind kind, resp::Arguments names) const {
  size_t max = kind == NameKind::pattern ? kMaxPatterns : kMaxSubscriptions;
  if (count(kind) + names.size() <= max && count() + names.size() <= kMaxSubscriptions) return true;
  // A stranger chooses the names: no hash that he can foresee.
  std::set<std::string_view> all(names.begin(), names.end());
  for (const Membership& m : memberships)
    if (kind_of(m.channel->name) == kind) all.insert(plain_name(m.channel->name));
  return all.size() <= max && count() - count(kind) + all.size() <= kMaxSubscriptions;
}

std::string RespSubscriber::no_room_for(NameKind kind, resp::Arguments names) const {
  if (!has_room_for(kind, names)) {
    if (kind == NameKind::pattern)
      return fmt::format("ERR a connection can subscribe to {} patterns at most", kMaxPatterns);
    return fmt::format("ERR a connection can subscribe to {} channels at most", kMaxSubscriptions);
  }
  if (kind != NameKind::pattern) return {};
  std::set<std::string_view> fresh;  // what no connection of this worker has yet
  for (std::string_view name : names)
    if (context_.hub->find(hub_name(kind, name)) == nullptr) fresh.insert(name);
  if (context_.hub->pattern_count() + fresh.size() > kMaxWorkerPatterns)
    return fmt::format("ERR a worker can have {} different patterns at most", kMaxWorkerPatterns);
  return {};
}

void RespSubscriber::subscribe(NameKind kind, std::string_view name) {
  bool first = memberships.empty();
  if (context_.hub->join(*this, hub_name(kind, name)) != Hub::Joined::joined) return;
  if (kind == NameKind::pattern) ++patterns_;
  if (kind == NameKind::shard) ++shards_;
  if (first) context_.stats->resp_subscribers.add();  // I1
}

void RespSubscriber::restore(NameKind kind, std::string_view name) {
  context_.hub->restore(*this, hub_name(kind, name), false);
  if (kind == NameKind::pattern) ++patterns_;
  if (kind == NameKind::shard) ++shards_;
}

void RespSubscriber::unsubscribe(NameKind kind, std::string_view name) {
  if (!context_.hub->leave(*this, hub_name(kind, name))) return;
  if (kind == NameKind::channel) forget(name);
  if (kind == NameKind::pattern) --patterns_;
  if (kind == NameKind::shard) --shards_;
  if (memberships.empty()) context_.stats->resp_subscribers.sub();  // I1
}

void RespSubscriber::unsubscribe_all() {
  if (memberships.empty()) return;
  context_.hub->leave_all(*this);
  followed_.clear();
  waiting_.clear();
  patterns_ = shards_ = 0;
  context_.stats->resp_subscribers.sub();  // I1
}

void RespSubscriber::give_up_waiting() {
  for (const auto& [channel, told] : std::exchange(waiting_, {}))
    told({.channel = channel, .asked = true});
}

void RespSubscriber::forget(std::string_view channel) {
  if (auto at = followed_.find(channel); at != followed_.end()) followed_.erase(at);
  if (auto at = waiting_.find(channel); at != waiting_.end()) waiting_.erase(at);
}

std::vector<std::string> RespSubscriber::names(NameKind kind) const {
  std::vector<std::string> names;
  for (const Membership& m : memberships)
    if (kind_of(m.channel->name) == kind) names.emplace_back(plain_name(m.channel->name));
  return names;
}

bool RespSubscriber::has(std::string_view channel) const {
  return std::any_of(memberships.begin(), memberships.end(),
                     [&](const Membership& m) { return m.channel->name == channel; });
}

void RespSubscriber::follow(std::string_view channel, const Position& since, Told told) {
  subscribe(NameKind::channel, channel);
  followed_.emplace(channel);
  waiting_.insert_or_assign(std::string(channel), std::move(told));
  context_.catch_up->begin(*this, channel, since);
}

void RespSubscriber::caught_up(const CaughtUp& told) {
  auto waiting = waiting_.find(told.channel);
  if (waiting != waiting_.end()) {
    Told tell = std::move(waiting->second);
    waiting_.erase(waiting);
    return tell(told);
  }
  if (!followed_.contains(told.channel) || aborted_) return;
  resp::ReplyWriter out(state_.version);
  out.push(3).bulk("hf.missed").bulk(told.channel);
  if (told.at.known())
    out.bulk(text_of(told.at));
  else
    out.null();
  push(BufferRef::concat(out.bytes()), Urgency::bulk);
}

bool RespSubscriber::published(std::string_view channel, Payload& payload, Urgency urgency) {
  if (payload.at().known() && followed_.contains(channel)) {
    std::string position = text_of(payload.at());
    resp::Place with_position{.channel = channel, .position = position};
    return !aborted_ && push(payload.resp(with_position, state_.version), urgency);
  }
  resp::Place place{.channel = plain_name(channel), .shard = kind_of(channel) == NameKind::shard};
  return !aborted_ && push(payload.resp(place, state_.version), urgency);
}

bool RespSubscriber::matched(std::string_view pattern, std::string_view channel, Payload& payload,
                             Urgency urgency) {
  resp::Place place{.channel = channel, .pattern = pattern};
  return !aborted_ && push(payload.resp(place, state_.version), urgency);
}

bool RespSubscriber::push(const BufferRef& bytes, Urgency urgency) {
  if (wire_.unsent() + bytes.size() > context_.api->send_queue) {  // I2
    aborted_ = true;
    context_.stats->api_closed_slow.add();
    wire_.abort();
    return false;
  }
  wire_.push(bytes, urgency);
  context_.stats->resp_messages.add();
  return true;
}

}  // namespace holdfast::api
