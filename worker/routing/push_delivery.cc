// How a part reaches sessions and subscribers: the second half of PushCarrier, which takes parts and cuts them into slices.
#include <algorithm>
#include <span>

#include "worker/routing/push_carrier.h"
#include "worker/routing/push_ops.h"
#include "worker/sessions/transport.h"

namespace holdfast {
namespace {

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
  if (part.at.known() && to.channel != nullptr && !owner_.follows(*to.channel, part.at))
    to.channel = nullptr;  // patterns have no part in streams
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
    if (is_push(part.op)) begin_publish(*to.channel, part, payload);
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
    if (part.at.known() && hub_.walked() != nullptr && is_catching_up(*hub_.walked(), *who))
      continue;
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

void PushCarrier::begin_publish(const Channel& channel, const Command& part,
                                Payload& payload) const {
  ++channel.published;
  if (part.at.known()) {
    channel.seen = part.at;
    payload.came_from(channel.name, part.at);
  }
  hub_.for_each_watcher([&](ChannelWatcher& w) { w.published(channel, payload); });
  payload.go_to(channel.rule, channel.tag, channel.name);
}

void PushCarrier::publish(const Channel& channel, Payload& payload, const Command& part,
                          CommandResult* result) {
  Urgency urgency = urgency_for(channel);
  begin_publish(channel, part, payload);
  bool some_catch_up = part.at.known() && channel.catching_up > 0;
  for (const Channel::Member& m : channel.members)
    if (!(some_catch_up && is_catching_up(m)) && !excluded(part, session_of(*m.who).id))
      apply_to(session_of(*m.who), part, payload, urgency, result);
  std::span<const Channel::Member> subscribers;
  if (for_subscribers(part, channel.name)) subscribers = channel.subscribers;
  for (const Channel::Member& m : subscribers)
    if (!(some_catch_up && is_catching_up(m)) &&
        m.subscriber().published(channel.name, payload, urgency))
      ++result->delivered;
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
      sessions_.hang_up(session, part.code, part.reason, EndReason::kicked);
      ++result->delivered;
      return;
    case Op::data:
      ++(sessions_.set_data(session, part.pairs, part.merge) ? result->delivered : result->refused);
      return;
    case Op::get_session:
    case Op::list_members:
    case Op::list_channels:
    case Op::list_users:
    case Op::append:
    case Op::history:
    case Op::empty:
    case Op::note_top:
      return;  // answer(), stream_home.h, recovery.h
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
