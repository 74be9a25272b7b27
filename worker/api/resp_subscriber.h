// worker/api/resp_subscriber.h - the channels a RESP connection has subscribed to, and what comes of
// them.
//
// In the Hub it stands beside the sessions that are members. A message that it gets is framed once for
// all subscribers of a channel that speak the same version (Payload::resp).
//
// Invariants
//   I1  resp.subscribers counts it exactly while it has a subscription.
//   I2  Its unsent bytes stay within the listener's send_queue: the message that would pass it ends
//       the connection (api.closed_slow). It gets nothing more then, but stays in its channels until
//       it is destroyed: Hub allows no change during a publish.
#pragma once

#include <string_view>

#include "worker/api/face.h"
#include "worker/api/resp_call.h"
#include "worker/hub.h"

namespace holdfast::api {

inline constexpr size_t kMaxSubscriptions = 10'000;  // of one connection

class RespSubscriber final : private Subscriber {
 public:
  // All of them outlive it. `state` says the version that messages are framed in.
  RespSubscriber(const ApiContext& context, Wire& wire, const RespState& state)
      : context_(context), wire_(wire), state_(state) {}
  ~RespSubscriber() { unsubscribe_all(); }
  RespSubscriber(const RespSubscriber&) = delete;
  RespSubscriber& operator=(const RespSubscriber&) = delete;

  size_t count() const { return memberships.size(); }
  // Could it subscribe to all of these as well?
  bool has_room_for(resp::Arguments channels) const;
  // A valid channel that there is room for.
  void subscribe(std::string_view channel);
  // A subscription that a predecessor has counted.
  void restore(std::string_view channel) { context_.hub->restore(*this, channel, false); }
  void unsubscribe(std::string_view channel);
  void unsubscribe_all();
  template <class F>
  void for_each_channel(F&& f) const {
    for (const Membership& m : memberships) f(std::string_view(m.channel->name));
  }

 private:
  bool published(std::string_view channel, Payload& payload, Urgency urgency) override;

  const ApiContext& context_;
  Wire& wire_;
  const RespState& state_;
  bool aborted_ = false;
};

}  // namespace holdfast::api
