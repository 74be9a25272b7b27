// worker/channels/member.h - one that can be in channels.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>

namespace holdfast {

struct Channel;

// A session, or an API connection that has subscribed (hub.h).
struct ChannelMember {
  struct Membership {
    Channel* channel;
    uint32_t position;  // in Channel::members, or ::subscribers
    bool from_url;      // named in the hand-shake: where the relay publishes to
    // Waits for what it has missed (catch_up.h): until then it gets nothing of the channel's stream.
    bool catching_up = false;
  };
  explicit ChannelMember(bool is_session) : session(is_session) {}

  boost::container::small_vector<Membership, 1> memberships;  // Hub's
  const bool session;                                         // a Session, or else a Subscriber
};

}  // namespace holdfast
