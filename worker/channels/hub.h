// worker/channels/hub.h - channels and users of this worker: who is a member, and fan-out to members.
//
// A user is a channel in a reserved name space (a NUL before the name), so that both are routed and delivered the
// same way. Exact counts across workers are sums of the counts of each Hub.
//
// Invariants
//   I1  A channel exists here exactly while it has a member or a subscriber; then, and only then, this worker's column of the filter
//       counts it. The column is raised before the first member is in and lowered after the last is out.
//       Likewise kAnyPattern, exactly while there is a pattern.
//   I2  of(who)[m.position] of a membership names its owner and that membership: taking one out is O(1).
//   I3  While a walk is under way, for each of its channels the first `members` of Channel::members, and the first
//       `subscribers` of ::subscribers, are those that were in when it began, are in still and have not been given out. One that
//       joins comes after them; one of them that leaves is replaced by the last of them, and that one by the last of all.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/position.h"
#include "shm/channel_filter.h"
#include "worker/channels/catch_up.h"
#include "worker/channels/member.h"
#include "worker/channels/payload.h"
#include "worker/channels/watcher.h"
#include "worker/net/runtime.h"

namespace holdfast {

// Something in channels that is no session: a RESP connection that has subscribed. In its destructor, or before, its owner
// calls Hub::leave_all() for it.
class Subscriber : public ChannelMember {
 public:
  Subscriber() : ChannelMember(false) {}
  // One message of a channel it is in. True: queued. Must neither join nor leave anything during the call.
  virtual bool published(std::string_view channel, Payload& payload, Urgency urgency) = 0;
  // Its answer (catch_up.h).
  virtual void caught_up(const CaughtUp& /*told*/) {}
  // The same for a channel whose name fits a pattern it is in.
  virtual bool matched(std::string_view pattern, std::string_view channel, Payload& payload,
                       Urgency urgency) {
    (void)pattern, (void)channel, (void)payload, (void)urgency;
    return false;
  }

 protected:
  ~Subscriber() = default;
};

// Channels are found by hash and listed in the order of their names.
struct Channel : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
  struct Member {
    ChannelMember* who;   // a Session in `members`, a Subscriber in `subscribers`
    uint32_t membership;  // position in ChannelMember::memberships
    Subscriber& subscriber() const { return *static_cast<Subscriber*>(who); }
  };
  std::string name;
  const conf::ChannelRule* rule = nullptr;  // null: none is for it
  uint64_t tag = 0;                         // Payload::go_to()
  std::vector<Member> members;
  std::vector<Member> subscribers;
  mutable uint64_t published = 0;
  // Of its stream, if it has one: the last message that went to the members. Unknown: none has yet.
  mutable Position seen;
  mutable uint32_t catching_up = 0;  // memberships that are

  std::vector<Member>& of(const ChannelMember& who) { return who.session ? members : subscribers; }
};

inline bool is_catching_up(const Channel::Member& member) {
  return member.who->memberships[member.membership].catching_up;
}
bool is_catching_up(const Channel& channel, const ChannelMember& who);

// Other things that are routed and delivered like channels have a control character before their names: valid_channel()
// allows none, so no channel can be named so.
enum class NameKind : char {
  user = '\0',     // its sessions
  shard = '\1',    // RESP: a channel of SSUBSCRIBE; has subscribers only
  pattern = '\2',  // RESP: a pattern of PSUBSCRIBE; likewise
                   // \3 is in the filter only: sessions/resume.h
  channel = ' ',   // no letter: a channel
};
inline NameKind kind_of(std::string_view name) {
  bool reserved = !name.empty() && name[0] >= '\0' && name[0] <= '\2';
  return reserved ? NameKind(name[0]) : NameKind::channel;
}
std::string reserved_name(NameKind kind, std::string_view name);
// The part after the letter.
inline std::string_view plain_name(std::string_view name) {
  return name.substr(kind_of(name) == NameKind::channel ? 0 : 1);
}
inline std::string user_channel(std::string_view user) {
  return reserved_name(NameKind::user, user);
}
inline bool is_user_channel(std::string_view name) {
  return kind_of(name) == NameKind::user;
}
// In the filter for a worker that has patterns: it must get everything that is published.
inline constexpr std::string_view kAnyPattern{"\2", 1};

class Hub {
 public:
  Hub(Runtime& runtime, shm::ChannelFilter filter) : runtime_(runtime), filter_(filter) {}
  ~Hub();

  // From here on it is called. It outlives the hub, or nothing happens in it after its end.
  void watch(ChannelWatcher& watcher) { watchers_.push_back(&watcher); }
  template <class F>
  void for_each_watcher(F&& f) const {
    for (ChannelWatcher* watcher : watchers_) f(*watcher);
  }

  enum class Joined : uint8_t { joined, already, too_many };
  Joined join(ChannelMember& who, std::string_view name, bool from_url = false);
  // A membership that a predecessor of this slot has counted, in gauges and filter: nothing is written
  // into the segment.
  void restore(ChannelMember& who, std::string_view name, bool from_url);
  void restore_published(std::string_view name, uint64_t published, const Position& seen);
  bool leave(ChannelMember& who, std::string_view name);  // false: was no member
  // False: it is no member, or catches up already (or does not).
  bool set_catching_up(ChannelMember& who, const Channel& channel, bool catching_up);
  void leave_all(ChannelMember& who);

  // Null if nobody here is a member.
  const Channel* find(std::string_view name) const;
  // Calls f(channel) in the order of names (bytes), from the first that is greater than `after` and
  // not smaller than `from`, until f says false. Users come before all channels.
  template <class F>
  void for_each_from(std::string_view from, std::string_view after, F&& f) const {
    bool whole = from > after;
    auto it = whole ? ordered_.lower_bound(from, ByName{}) : ordered_.upper_bound(after, ByName{});
    for (; it != ordered_.end() && f(*it); ++it) {
    }
  }
  // The members of a channel, from the newest to the oldest, and after them those of other names, given out over several turns
  // while others join and leave. One walk at a time. All names are given before the first next_of_walk().
  void begin_walk() { walks_.clear(), walk_ = 0; }
  void begin_walk(const Channel& channel) {
    begin_walk();
    add_to_walk(channel);
  }
  void add_to_walk(const Channel& channel) {
    walks_.push_back({&channel, channel.members.size(), channel.subscribers.size()});
  }
  // Null: there are no more, or the rest is gone.
  ChannelMember* next_of_walk(bool subscribers_too) {
    for (; walk_ < walks_.size(); ++walk_) {
      Walk& walk = walks_[walk_];
      if (walk.members > 0) return walk.channel->members[--walk.members].who;
      if (subscribers_too && walk.subscribers > 0)
        return walk.channel->subscribers[--walk.subscribers].who;
    }
    return nullptr;
  }
  // The channel whose member next_of_walk() gave out last; null: it is gone, or there are no more.
  const Channel* walked() const { return walk_ < walks_.size() ? walks_[walk_].channel : nullptr; }
  // The first of its names; null: it is gone.
  const Channel* walk_began_with() const {
    return walks_.empty() ? nullptr : walks_.front().channel;
  }
  void end_walk() { begin_walk(); }
  bool has_patterns() const { return patterns_ > 0; }
  size_t pattern_count() const { return patterns_; }  // different ones
  // Calls f(pattern) for each that the name of a channel fits. f changes no membership.
  template <class F>
  void for_each_pattern_of(std::string_view name, F&& f) const {
    if (has_patterns())
      for_each_from(kAnyPattern, {}, [&](const Channel& pattern) {
        if (kind_of(pattern.name) != NameKind::pattern) return false;
        if (fits(pattern, name)) f(pattern);
        return true;
      });
  }

 private:
  struct ByName {
    using is_transparent = void;
    bool operator()(const Channel& a, const Channel& b) const { return a.name < b.name; }
    bool operator()(const Channel& a, std::string_view b) const { return a.name < b; }
    bool operator()(std::string_view a, const Channel& b) const { return a < b.name; }
  };
  using Channels =
      std::unordered_map<std::string, std::unique_ptr<Channel>, NameHash, std::equal_to<>>;
  struct Walk {
    const Channel* channel = nullptr;
    size_t members = 0;
    size_t subscribers = 0;
  };
  // Its place in who.memberships; kNone: no member. Costs as much as the shorter of the two lists.
  static constexpr size_t kNone = SIZE_MAX;
  static size_t place_of(const ChannelMember& who, Channel& channel);
  static bool fits(const Channel& pattern, std::string_view name);
  bool full(const ChannelMember& session) const;
  // What counts memberships of this kind; null: nothing does.
  shm::Cell* gauge_of(const ChannelMember& who, NameKind kind);
  Channels::iterator add_channel(std::string_view name);
  void add_member(Channel& channel, ChannelMember& who, bool from_url);
  void remove_member(Channel& channel, const ChannelMember& who, uint32_t position);

  Runtime& runtime_;
  std::vector<ChannelWatcher*> watchers_;
  std::vector<Walk> walks_;  // of the walk under way; few
  size_t walk_ = 0;          // the one that is being given out
  shm::ChannelFilter filter_;
  Channels channels_;
  boost::intrusive::set<Channel, boost::intrusive::compare<ByName>> ordered_;
  size_t patterns_ = 0;
};

}  // namespace holdfast
