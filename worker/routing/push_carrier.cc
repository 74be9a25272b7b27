#include "worker/routing/push_carrier.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/clock.h"
#include "worker/sessions/transport.h"

namespace holdfast {
namespace {

bool is_push(Op op) {
  return op <= Op::publish;
}
bool is_question(Op op) {
  return op >= Op::get_session;
}
// Are `channels` the addressees (publish, kick), or arguments (join, leave)?
bool channels_address(Op op) {
  return op == Op::publish || op == Op::kick;
}
size_t users_of(const Command& part) {
  return part.op == Op::bind ? 0 : part.users.size();
}
size_t cost_of(Op op) {
  return is_push(op) ? 1 : PushCarrier::kChange;
}

void use_up(size_t& left, size_t cost) {
  left -= std::min(left, cost);
}

bool before(const shm::SessionId& a, const shm::SessionId& b) {
  return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}

// A part's list is sorted: it is looked at for every member.
bool excluded(const Command& part, const shm::SessionId& id) {
  return std::binary_search(part.exclude.begin(), part.exclude.end(), id, before);
}

// Whoever subscribed as Redis's sharded channels are apart from all others gets what is published so, and nothing else.
bool for_subscribers(const Command& part, std::string_view name) {
  return is_push(part.op) && (!part.sharded || kind_of(name) == NameKind::shard);
}

Urgency urgency_for(const Channel& channel) {
  constexpr size_t kFew = 16;
  return channel.members.size() + channel.subscribers.size() > kFew ? Urgency::bulk
                                                                    : Urgency::urgent;
}

}  // namespace

PushCarrier::~PushCarrier() {
  runtime_.stats.push_under_way.sub(tasks_);
}

// ---- taking

PushCarrier::Taken PushCarrier::take(const Command& part, std::string_view data, uint64_t source,
                                     const Asker& asker, CommandResult* result) {
  if (is_question(part.op)) {
    answer(part, result);
    return Taken::done;
  }
  Payload payload(data, part.binary);
  Progress progress;
  bool begun = runs_at_once(part, source);
  if (begun) {
    size_t left = std::min(left_, slice_), used = left;
    stepping_ = true;
    bool done = go_on(part, payload, progress, result, left);
    stepping_ = false;
    used -= left;
    left_ -= used;
    runtime_.budget.spend(int64_t(used) / TurnBudget::kDeliveriesAUnit);
    if (done) return Taken::done;
    runtime_.stats.push_slices.add();
  }
  auto task = std::make_unique<Task>(
      Task{part, std::move(payload), asker, weight_of(part), progress, std::move(*result)});
  task->command.data = data;
  task->payload.moved_to(task->command.data);
  return queue(std::move(task), source, begun);
}

bool PushCarrier::runs_at_once(const Command& part, uint64_t source) const {
  if (left_ == 0 || stepping_) return false;
  return lines_.empty() || (waiting(source) == 0 && is_small(part));
}

PushCarrier::Taken PushCarrier::queue(std::unique_ptr<Task> task, uint64_t source, bool begun) {
  bool full = tasks_ >= kMaxTasks || bytes_ + task->bytes() > kMaxBytes;
  if (full && !begun && task->asker.slot == runtime_.slot) {  // I3
    runtime_.stats.push_refused_busy.add();
    return Taken::refused;
  }
  ++tasks_;
  bytes_ += task->bytes();
  if (begun) task->weight = 0;
  weight_ += task->weight;
  runtime_.stats.push_under_way.add();
  Line& line = lines_[source];
  line.push_back(std::move(task));
  if (line.size() == 1) turns_.push_back(source);
  runtime_.budget.congested(congested());
  return Taken::later;
}

bool PushCarrier::congested() const {
  return weight_ > kCongested || tasks_ > kMaxTasks / 4 || bytes_ > kMaxBytes / 4;
}

// No less than it will cost: what is taken for small never walks.
size_t PushCarrier::weight_of(const Command& part) const {
  size_t cost = cost_of(part.op);
  size_t weight = part.sessions.size() * cost;
  auto count = [&](std::string_view name) { weight += cost + addressees(part, name).cost; };
  for (size_t i = 0; i < users_of(part); ++i) count(user_channel(part.users[i]));
  if (channels_address(part.op))
    for (const std::string& channel : part.channels) count(channel);
  if (part.op == Op::send_all) weight += sessions_.live() * cost;
  return weight;
}

PushCarrier::Addressees PushCarrier::addressees(const Command& part, std::string_view name) const {
  Addressees to{.channel = hub_.find(name)};
  if (to.channel != nullptr)
    to.cost = (to.channel->members.size() + to.channel->subscribers.size()) * cost_of(part.op);
  if (!hub_.has_patterns() || !goes_to_patterns(part, name)) return to;
  to.cost += hub_.pattern_count() / kPatternsADelivery;
  // A pattern may cost as much as its bytes times those of the name, or next to nothing: what it took is what is spent.
  uint64_t from_ns = monotonic_ns();
  hub_.for_each_pattern_of(name, [&](const Channel& pattern) {
    to.patterns.push_back(&pattern);
    to.cost += pattern.subscribers.size();
  });
  runtime_.budget.spend(int64_t((monotonic_ns() - from_ns) / 1'000));
  return to;
}

bool PushCarrier::is_small(const Command& part) const {
  return part.sessions.size() + part.users.size() + part.channels.size() <= kSmall &&
         weight_of(part) <= std::min({kSmall, left_, slice_});
}

// ---- slices

bool PushCarrier::carry_on() {
  left_ = a_turn_;
  if (lines_.empty()) return false;
  step();
  return !lines_.empty();
}

// With a word to the master between slices: this is work, and no hang.
void PushCarrier::finish() {
  while (!lines_.empty()) {
    step();
    runtime_.budget.beat();
  }
}

void PushCarrier::step() {
  size_t left = slice_;
  while (left > 0 && !lines_.empty()) {
    uint64_t source = turns_.front();
    auto line = lines_.find(source);
    Task& task = *line->second.front();
    weight_ -= std::exchange(task.weight, 0);
    stepping_ = true;
    bool done = go_on(task.command, task.payload, task.progress, &task.result, left);
    stepping_ = false;
    runtime_.stats.push_slices.add();
    if (!done) break;
    use_up(left, 1);
    std::unique_ptr<Task> finished = std::move(line->second.front());
    line->second.pop_front();
    turns_.pop_front();
    bool last = line->second.empty();
    if (last) {
      lines_.erase(line);
    } else {
      turns_.push_back(source);
    }
    --tasks_;
    bytes_ -= finished->bytes();
    runtime_.stats.push_under_way.sub();
    if (finished->asker.token != 0) owner_.carried(finished->asker, std::move(finished->result));
    if (last && waiting(source) == 0) owner_.none_waits(source);
  }
  runtime_.budget.spend(int64_t(slice_ - left) / TurnBudget::kDeliveriesAUnit);
  runtime_.budget.congested(congested());
}

// ---- carrying out

bool PushCarrier::go_on(const Command& part, Payload& payload, Progress& at, CommandResult* result,
                        size_t& left) {
  return to_sessions(part, payload, at, result, left) &&
         to_names(part, payload, at, result, left) &&
         (part.op != Op::send_all || to_all(part, payload, at, result, left));
}

bool PushCarrier::to_sessions(const Command& part, Payload& payload, Progress& at,
                              CommandResult* result, size_t& left) {
  for (; at.session < part.sessions.size(); ++at.session) {
    if (left == 0) return false;
    use_up(left, cost_of(part.op));
    Session* session = sessions_.find(part.sessions[at.session]);
    if (session == nullptr) {
      runtime_.stats.push_no_session.add();
      result->unknown.push_back(part.sessions[at.session]);
      continue;
    }
    apply_to(*session, part, payload, Urgency::urgent, result);
  }
  return true;
}

bool PushCarrier::to_names(const Command& part, Payload& payload, Progress& at,
                           CommandResult* result, size_t& left) {
  size_t users = users_of(part);
  size_t names = users + (channels_address(part.op) ? part.channels.size() : 0);
  for (; at.name < names; ++at.name) {
    if (at.walking) {
      if (!walk(part, payload, at, result, left)) return false;
      continue;
    }
    if (left == 0) return false;
    bool done = at.name < users
                    ? to_name(user_channel(part.users[at.name]), part, payload, at, result, left)
                    : to_name(part.channels[at.name - users], part, payload, at, result, left);
    if (!done) return false;
  }
  return true;
}

bool PushCarrier::to_name(std::string_view name, const Command& part, Payload& payload,
                          Progress& at, CommandResult* result, size_t& left) {
  Addressees to = addressees(part, name);
  if (to.channel == nullptr && to.patterns.empty()) {
    use_up(left, std::max<size_t>(to.cost, 1));
    return true;
  }
  if (to.cost <= left) {
    left -= to.cost;
    if (to.channel != nullptr) whole_channel(*to.channel, part, payload, result);
    for (const Channel* pattern : to.patterns) to_pattern(*pattern, name, payload, result);
    return true;
  }
  if (to.cost <= slice_) {  // with the next slice
    left = 0;
    return false;
  }
  hub_.begin_walk();
  if (to.channel != nullptr) {
    if (is_push(part.op)) begin_publish(*to.channel, payload);
    hub_.add_to_walk(*to.channel);
  }
  for (const Channel* pattern : to.patterns) hub_.add_to_walk(*pattern);
  at.walking = true;
  return walk(part, payload, at, result, left);
}

// I1
bool PushCarrier::walk(const Command& part, Payload& payload, Progress& at, CommandResult* result,
                       size_t& left) {
  bool push = is_push(part.op);
  size_t cost = cost_of(part.op);
  size_t users = users_of(part);
  bool subscribers_too =
      at.name < users ? push : for_subscribers(part, part.channels[at.name - users]);
  while (left > 0) {
    ChannelMember* who = hub_.next_of_walk(subscribers_too);
    if (who == nullptr) {
      if (const Channel* channel = hub_.walk_began_with(); channel != nullptr && push)
        note_publish(*channel, payload);
      hub_.end_walk();
      at.walking = false;
      return true;
    }
    use_up(left, cost);
    if (!who->session) {
      give(static_cast<Subscriber&>(*who), part, payload, at, result);
      continue;
    }
    auto& session = static_cast<Session&>(*who);
    if (!excluded(part, session.id))
      apply_to(session, part, payload, push ? Urgency::bulk : Urgency::urgent, result);
  }
  return false;
}

void PushCarrier::give(Subscriber& subscriber, const Command& part, Payload& payload,
                       const Progress& at, CommandResult* result) const {
  std::string_view walked = hub_.walked()->name;
  bool given = kind_of(walked) == NameKind::pattern
                   ? subscriber.matched(plain_name(walked), part.channels[at.name - users_of(part)],
                                        payload, Urgency::bulk)
                   : subscriber.published(walked, payload, Urgency::bulk);
  if (given) ++result->delivered;
}

bool PushCarrier::to_all(const Command& part, Payload& payload, Progress& at, CommandResult* result,
                         size_t& left) {
  if (!at.walking) {
    if (left == 0) return false;
    if (sessions_.places() <= left) {
      left -= sessions_.places();
      sessions_.for_each_live([&](Session& session) {
        if (!excluded(part, session.id)) apply_to(session, part, payload, Urgency::bulk, result);
      });
      return true;
    }
    sessions_.begin_walk();
    at.walking = true;
  }
  while (left > 0) {
    Session* session = sessions_.next_of_walk(left);
    if (session != nullptr && !excluded(part, session->id))
      apply_to(*session, part, payload, Urgency::bulk, result);
    if (session == nullptr && sessions_.walk_is_over()) {
      at.walking = false;
      return true;
    }
  }
  return false;
}

void PushCarrier::whole_channel(const Channel& channel, const Command& part, Payload& payload,
                                CommandResult* result) {
  if (is_push(part.op)) return publish(channel, payload, part, result);
  // Everything else may change the list of members.
  std::vector<Session*> members;
  for (const Channel::Member& m : channel.members)
    if (!excluded(part, session_of(*m.who).id)) members.push_back(&session_of(*m.who));
  for (Session* session : members) apply_to(*session, part, payload, Urgency::urgent, result);
}

// Behind the channel's own subscribers, as a Redis server does it: who has both, gets both.
void PushCarrier::to_pattern(const Channel& pattern, std::string_view name, Payload& payload,
                             CommandResult* result) const {
  for (const Channel::Member& m : pattern.subscribers)
    if (m.subscriber().matched(plain_name(pattern.name), name, payload, Urgency::bulk))
      ++result->delivered;
}

void PushCarrier::begin_publish(const Channel& channel, Payload& payload) const {
  ++channel.published;
  hub_.for_each_watcher([&](ChannelWatcher& w) { w.published(channel, payload); });
  payload.go_to(channel.rule, channel.tag, channel.name);
}

void PushCarrier::publish(const Channel& channel, Payload& payload, const Command& part,
                          CommandResult* result) {
  Urgency urgency = urgency_for(channel);
  begin_publish(channel, payload);
  for (const Channel::Member& m : channel.members)
    if (!excluded(part, session_of(*m.who).id))
      apply_to(session_of(*m.who), part, payload, urgency, result);
  std::span<const Channel::Member> subscribers;
  if (for_subscribers(part, channel.name)) subscribers = channel.subscribers;
  for (const Channel::Member& m : subscribers)
    if (m.subscriber().published(channel.name, payload, urgency)) ++result->delivered;
  note_publish(channel, payload);
}

void PushCarrier::note_publish(const Channel& channel, const Payload& payload) {
  NameKind kind = kind_of(channel.name);
  if (runtime_.tracer == nullptr || !runtime_.tracer->on() || kind == NameKind::shard ||
      kind == NameKind::pattern)
    return;  // told with the channel
  bool user = is_user_channel(channel.name);
  std::string_view name = std::string_view(channel.name).substr(user ? 1 : 0);
  runtime_.tracer->note({.event = user ? "send-user" : "publish",
                         .channel = user ? std::string_view{} : name,
                         .user = user ? name : std::string_view{},
                         .bytes = payload.data().size()});
}

void PushCarrier::apply_to(Session& session, const Command& part, Payload& payload, Urgency urgency,
                           CommandResult* result) {
  switch (part.op) {
    case Op::send:
    case Op::send_user:
    case Op::send_all:
    case Op::publish:
      if (sessions_.deliver(session, payload, urgency)) ++result->delivered;
      return;
    case Op::join:
      return join(session, part, result);
    case Op::leave:
      for (const std::string& channel : part.channels) sessions_.leave(session, channel);
      ++result->delivered;
      return;
    case Op::bind:
      if (part.users.empty()) return;  // a record is another process's memory
      sessions_.set_user(session, part.users.front());
      ++result->delivered;
      return;
    case Op::unbind:
      sessions_.set_user(session, {});
      ++result->delivered;
      return;
    case Op::kick:
      trace(runtime_.tracer, {.event = "kick", .session = &session, .detail = part.reason});
      if (session.transport != nullptr)
        session.transport->close(part.code, part.reason, EndReason::kicked);
      ++result->delivered;
      return;
    case Op::data:
      ++(sessions_.set_data(session, part.pairs, part.merge) ? result->delivered : result->refused);
      return;
    case Op::get_session:
    case Op::list_members:
    case Op::list_channels:
    case Op::list_users:
      return;  // answer()
  }
}

void PushCarrier::join(Session& session, const Command& part, CommandResult* result) {
  uint64_t refused = 0;
  for (const std::string& channel : part.channels)
    if (sessions_.join(session, channel) == Hub::Joined::too_many) ++refused;
  result->refused += refused;
  if (refused == 0) ++result->delivered;
}

}  // namespace holdfast
