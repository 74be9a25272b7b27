// worker/hub.h - channels and users of this worker: who is a member, and fan-out to members.
//
// A user is a channel in a reserved name space (a NUL before the name), so that both are routed and delivered the
// same way. Exact counts across workers are sums of what each Hub says.
//
// Invariants
//   I1  A channel exists here exactly while it has a member or a subscriber; then, and only then, this worker's column of the filter
//       counts it. The column is raised before the first member is in and lowered after the last is out.
//   I2  of(who)[m.position] of a membership names its owner and that membership: taking one out is O(1).
//   I3  While a walk is under way, the first `members` of Channel::members, and the first `subscribers` of ::subscribers, are
//       those who were in when it began, are in still and have not been given out. Whoever joins comes behind them; whoever
//       leaves from among them is replaced by the last of them, and that one by the last of all.
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
#include "shm/channel_filter.h"
#include "worker/payload.h"
#include "worker/runtime.h"
#include "worker/session.h"

namespace holdfast {

// Something in channels that is no session: a RESP connection that has subscribed. In its destructor, or before, somebody
// calls Hub::leave_all() for it.
class Subscriber : public ChannelMember {
 public:
  Subscriber() : ChannelMember(false) {}
  // One message of a channel it is in. True: queued. Must neither join nor leave anything during the call.
  virtual bool published(std::string_view channel, Payload& payload, Urgency urgency) = 0;

 protected:
  ~Subscriber() = default;
};

// Channels are found by hash and listed in the order of their names.
struct Channel : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
  struct Member {
    ChannelMember* who;   // a Session in `members`, a Subscriber in `subscribers`
    uint32_t membership;  // position in ChannelMember::memberships
    Session& session() const { return *static_cast<Session*>(who); }
    Subscriber& subscriber() const { return *static_cast<Subscriber*>(who); }
  };
  std::string name;
  const conf::ChannelRule* rule = nullptr;  // null: none is for it
  uint64_t tag = 0;                         // Payload::go_to()
  std::vector<Member> members;
  std::vector<Member> subscribers;
  mutable uint64_t published = 0;

  std::vector<Member>& of(const ChannelMember& who) { return who.session ? members : subscribers; }
};

// "\0" + user: valid_channel() allows no control characters, so no channel can be named so.
std::string user_channel(std::string_view user);
inline bool is_user_channel(std::string_view name) {
  return !name.empty() && name[0] == '\0';
}

class Hub {
 public:
  Hub(Runtime& runtime, shm::ChannelFilter filter) : runtime_(runtime), filter_(filter) {}
  ~Hub();

  enum class Joined : uint8_t { joined, already, too_many };
  Joined join(ChannelMember& who, std::string_view name, bool from_url = false);
  // A membership that a predecessor of this slot has counted, in gauges and filter: nothing is written
  // into the segment.
  void restore(ChannelMember& who, std::string_view name, bool from_url);
  void restore_published(std::string_view name, uint64_t published);
  bool leave(ChannelMember& who, std::string_view name);  // false: was no member
  void leave_all(ChannelMember& who);

  // Null where nobody here is a member.
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
  // One channel's members, from the newest to the oldest, given out over several turns while others join and leave. One
  // walk at a time.
  void begin_walk(const Channel& channel) {
    walk_ = {&channel, channel.members.size(), channel.subscribers.size()};
  }
  // Null: there are no more, or the channel is gone.
  ChannelMember* next_of_walk(bool subscribers_too) {
    if (walk_.members > 0) return walk_.channel->members[--walk_.members].who;
    if (subscribers_too && walk_.subscribers > 0)
      return walk_.channel->subscribers[--walk_.subscribers].who;
    return nullptr;
  }
  const Channel* walked() const { return walk_.channel; }  // null: it is gone
  void end_walk() { walk_ = {}; }

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
  // Where in who.memberships it is; kNone: no member. Costs as much as the shorter of the two lists.
  static constexpr size_t kNone = SIZE_MAX;
  static size_t place_of(const ChannelMember& who, Channel& channel);
  bool full(const Session& session) const;
  shm::Cell& gauge_of(const ChannelMember& who);
  Channels::iterator add_channel(std::string_view name);
  void add_member(Channel& channel, ChannelMember& who, bool from_url);
  void remove_member(Channel& channel, const ChannelMember& who, uint32_t position);

  Runtime& runtime_;
  Walk walk_;
  shm::ChannelFilter filter_;
  Channels channels_;
  boost::intrusive::set<Channel, boost::intrusive::compare<ByName>> ordered_;
};

}  // namespace holdfast
