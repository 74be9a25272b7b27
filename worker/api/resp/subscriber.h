// worker/api/resp/subscriber.h - the subscriptions of a RESP connection: channels, patterns of their names, and Redis's
// sharded channels; and their messages.
//
// In the Hub it stands beside the sessions that are members, under the names of hub.h's kinds. A message that it gets is framed
// once for all subscribers of a channel, or pattern, that speak the same version (Payload::resp).
//
// Sharded channels are apart from the others as in Redis: SUBSCRIBE and PSUBSCRIBE hear PUBLISH, SSUBSCRIBE hears SPUBLISH.
// (Sessions in the channel get both: they have only one kind.)
//
// Invariants
//   I1  resp.subscribers counts it exactly while it has a subscription.
//   I2  Its unsent bytes stay within the listener's send_queue: the message that would exceed it ends
//       the connection (api.closed_slow). It gets nothing more then, but stays in its channels until
//       it is destroyed: Hub allows no change during a publish.
//   I3  A publish costs time for each pattern that a worker has: so their number is bounded, of a connection and of a worker.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "worker/api/face.h"
#include "worker/api/resp/call.h"
#include "worker/channels/hub.h"

namespace holdfast::api {

inline constexpr size_t kMaxSubscriptions = 10'000;  // of one connection, of all kinds
inline constexpr size_t kMaxPatterns = 100;          // of one connection
inline constexpr size_t kMaxWorkerPatterns =
    1'000;  // different ones of all connections of a worker

class RespSubscriber final : private Subscriber {
 public:
  // All of them outlive it. `state` has the version that messages are framed in.
  RespSubscriber(const ApiContext& context, Wire& wire, const RespState& state)
      : context_(context), wire_(wire), state_(state) {}
  ~RespSubscriber() { unsubscribe_all(); }
  RespSubscriber(const RespSubscriber&) = delete;
  RespSubscriber& operator=(const RespSubscriber&) = delete;

  size_t count() const { return memberships.size(); }
  size_t count(NameKind kind) const;
  // The reason why it cannot subscribe to all of these as well; "" if it can.
  std::string no_room_for(NameKind kind, resp::Arguments names) const;
  // A name of NameKind channel, shard or pattern that there is room for.
  void subscribe(NameKind kind, std::string_view name);
  // HF.SUBSCRIBE: a channel whose messages come with their positions, from `since` on. `told` is called once, before them, unless the
  // subscription ends before.
  using Told = std::function<void(const CaughtUp&)>;
  void follow(std::string_view channel, const Position& since, Told told);
  bool has(std::string_view channel) const;
  std::vector<std::string> followed() const { return {followed_.begin(), followed_.end()}; }
  void restore_followed(std::string_view channel) { followed_.emplace(channel); }
  // A subscription that a predecessor has counted.
  void restore(NameKind kind, std::string_view name);
  void unsubscribe(NameKind kind, std::string_view name);
  void unsubscribe_all();
  // Those that wait for an answer to HF.SUBSCRIBE get one: nothing comes of it.
  void give_up_waiting();
  std::vector<std::string> names(NameKind kind) const;

 private:
  bool published(std::string_view channel, Payload& payload, Urgency urgency) override;
  bool matched(std::string_view pattern, std::string_view channel, Payload& payload,
               Urgency urgency) override;
  void caught_up(const CaughtUp& told) override;
  bool has_room_for(NameKind kind, resp::Arguments names) const;
  bool push(const BufferRef& bytes, Urgency urgency);
  void forget(std::string_view channel);

  const ApiContext& context_;
  Wire& wire_;
  const RespState& state_;
  std::set<std::string, std::less<>> followed_;       // of its channels: those of HF.SUBSCRIBE
  std::map<std::string, Told, std::less<>> waiting_;  // of followed_: those that wait for an answer
  uint32_t patterns_ = 0, shards_ = 0;
  bool aborted_ = false;
};

}  // namespace holdfast::api
