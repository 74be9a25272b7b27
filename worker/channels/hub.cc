#include "worker/channels/hub.h"

#include <algorithm>

#include "base/glob.h"
#include "base/log.h"
#include "worker/channels/rules.h"

namespace holdfast {
namespace {

// Clients choose names, so tags are keyed, or a channel could be made to throw away another's messages. They travel with
// what waits in the queues: the key is the instance's.
void find_rule(const std::vector<conf::ChannelRule>& rules, const shm::ChannelFilter& filter,
               Channel& channel) {
  channel.rule = rule_for(rules, channel.name);
  if (channel.rule == nullptr || !channel.rule->slow_consumer) return;
  bool alone = channel.rule->slow_consumer == conf::SlowConsumer::keep_latest;
  channel.tag = filter.hash(alone ? channel.name : channel.rule->pattern) | 1;  // never 0
}

}  // namespace

std::string reserved_name(NameKind kind, std::string_view name) {
  std::string reserved(1, char(kind));
  reserved += name;
  return reserved;
}

const Channel* Hub::find(std::string_view name) const {
  auto it = channels_.find(name);
  return it == channels_.end() ? nullptr : it->second.get();
}

Hub::~Hub() {
  ordered_.clear();  // before the channels it is made of
}

Hub::Joined Hub::join(ChannelMember& who, std::string_view name, bool from_url) {
  auto it = channels_.find(name);
  if (it != channels_.end() && place_of(who, *it->second) != kNone) return Joined::already;
  NameKind kind = kind_of(name);
  if (who.session && kind == NameKind::channel && full(who)) {
    runtime_.stats.channels_refused.add();
    return Joined::too_many;
  }
  if (it == channels_.end()) {
    bool raised = filter_.raise(runtime_.slot, name);  // I1
    if (kind == NameKind::pattern && !has_patterns())
      raised = filter_.raise(runtime_.slot, kAnyPattern) && raised;
    if (!raised) {
      static LogGate gate;
      if (gate.pass())
        log_warn("shared memory is full: this worker is told of all channels from now on slot={}",
                 runtime_.slot);
    }
    if (kind == NameKind::channel) runtime_.stats.channels_local.add();
    it = add_channel(name);
    for_each_watcher([&](ChannelWatcher& watcher) { watcher.first_member(*it->second); });
  }
  add_member(*it->second, who, from_url);
  for_each_watcher([&](ChannelWatcher& watcher) { watcher.joined(*it->second, who); });
  if (shm::Cell* gauge = gauge_of(who, kind)) gauge->add();
  return Joined::joined;
}

void Hub::add_member(Channel& channel, ChannelMember& who, bool from_url) {
  std::vector<Channel::Member>& members = channel.of(who);
  who.memberships.push_back({&channel, uint32_t(members.size()), from_url});
  members.push_back({&who, uint32_t(who.memberships.size() - 1)});
}

void Hub::restore(ChannelMember& who, std::string_view name, bool from_url) {
  auto it = channels_.find(name);
  if (it == channels_.end()) it = add_channel(name);
  add_member(*it->second, who, from_url);
}

void Hub::restore_published(std::string_view name, uint64_t published, const Position& seen) {
  auto it = channels_.find(name);
  if (it == channels_.end()) return;
  it->second->published = published;
  it->second->seen = seen;
}

bool Hub::set_catching_up(ChannelMember& who, const Channel& channel, bool catching_up) {
  for (ChannelMember::Membership& m : who.memberships) {
    if (m.channel != &channel || m.catching_up == catching_up) continue;
    m.catching_up = catching_up;
    channel.catching_up += catching_up ? 1 : -1;
    return true;
  }
  return false;
}

bool is_catching_up(const Channel& channel, const ChannelMember& who) {
  return channel.catching_up > 0 &&
         std::any_of(who.memberships.begin(), who.memberships.end(),
                     [&](const auto& m) { return m.channel == &channel && m.catching_up; });
}

// Its user is no channel.
bool Hub::full(const ChannelMember& session) const {
  size_t most = runtime_.config.limits.max_channels_per_session;
  if (session.memberships.size() < most) return false;
  auto users = std::count_if(session.memberships.begin(), session.memberships.end(),
                             [](const auto& m) { return is_user_channel(m.channel->name); });
  return session.memberships.size() - size_t(users) >= most;
}

shm::Cell* Hub::gauge_of(const ChannelMember& who, NameKind kind) {
  if (kind == NameKind::user) return nullptr;
  if (kind == NameKind::pattern) return &runtime_.stats.resp_patterns;
  return who.session ? &runtime_.stats.memberships : &runtime_.stats.subscriptions;
}

bool Hub::fits(const Channel& pattern, std::string_view name) {
  return glob_match(plain_name(pattern.name), name);
}

Hub::Channels::iterator Hub::add_channel(std::string_view name) {
  auto channel = std::make_unique<Channel>();
  channel->name = name;
  NameKind kind = kind_of(name);
  if (kind == NameKind::channel) find_rule(runtime_.config.channels, filter_, *channel);
  if (kind == NameKind::pattern) ++patterns_;
  ordered_.insert(*channel);
  return channels_.emplace(std::string(name), std::move(channel)).first;
}

namespace {

// Nobody is a member twice, so the one moved is another's.
void move_member(std::vector<Channel::Member>& members, size_t from, uint32_t to) {
  members[to] = members[from];
  members[to].who->memberships[members[to].membership].position = to;  // I2
}

}  // namespace

void Hub::remove_member(Channel& channel, const ChannelMember& who, uint32_t position) {
  std::vector<Channel::Member>& members = channel.of(who);
  auto walk = std::find_if(walks_.begin(), walks_.end(),
                           [&](const Walk& w) { return w.channel == &channel; });
  if (walk != walks_.end()) {  // I3
    size_t& left = who.session ? walk->members : walk->subscribers;
    if (position < left && position != --left) {
      move_member(members, left, position);
      position = uint32_t(left);
    }
  }
  if (position != members.size() - 1) move_member(members, members.size() - 1, position);
  members.pop_back();
  NameKind kind = kind_of(channel.name);
  if (shm::Cell* gauge = gauge_of(who, kind)) gauge->sub();
  for_each_watcher([&](ChannelWatcher& watcher) { watcher.left(channel, who); });
  if (!channel.members.empty() || !channel.subscribers.empty()) return;
  if (walk != walks_.end()) *walk = {};
  std::string name = channel.name;
  ordered_.erase(ordered_.iterator_to(channel));
  channels_.erase(channels_.find(name));
  filter_.lower(runtime_.slot, name);  // I1
  if (kind == NameKind::pattern && --patterns_ == 0) filter_.lower(runtime_.slot, kAnyPattern);
  if (kind == NameKind::channel) runtime_.stats.channels_local.sub();
  for_each_watcher([&](ChannelWatcher& watcher) { watcher.last_left(name); });
}

size_t Hub::place_of(const ChannelMember& who, Channel& channel) {
  const std::vector<Channel::Member>& members = channel.of(who);
  if (members.size() < who.memberships.size()) {
    for (const Channel::Member& m : members)
      if (m.who == &who) return m.membership;
    return kNone;
  }
  for (size_t i = 0; i < who.memberships.size(); ++i)
    if (who.memberships[i].channel == &channel) return i;
  return kNone;
}

bool Hub::leave(ChannelMember& who, std::string_view name) {
  auto it = channels_.find(name);
  size_t place = it == channels_.end() ? kNone : place_of(who, *it->second);
  if (place == kNone) return false;
  ChannelMember::Membership gone = who.memberships[place];
  who.memberships[place] = who.memberships.back();
  ChannelMember::Membership& moved = who.memberships[place];
  moved.channel->of(who)[moved.position].membership = uint32_t(place);  // I2
  who.memberships.pop_back();
  if (gone.catching_up) --gone.channel->catching_up;
  remove_member(*gone.channel, who, gone.position);
  return true;
}

void Hub::leave_all(ChannelMember& who) {
  while (!who.memberships.empty()) {
    ChannelMember::Membership last = who.memberships.back();
    who.memberships.pop_back();
    if (last.catching_up) --last.channel->catching_up;
    remove_member(*last.channel, who, last.position);
  }
  who.memberships.shrink_to_fit();
}

}  // namespace holdfast
