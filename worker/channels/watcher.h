// worker/channels/watcher.h - a party that follows the life of channels on this worker: presence, history and engines are such.
//
// Registered with Hub::watch() by reference, called in the order of registration, and never during a handover's restore. A watcher
// neither joins nor leaves anything during a call. Users and patterns are channels too: kind_of() tells (hub.h).
#pragma once

#include <string_view>

namespace holdfast {

struct Channel;
struct ChannelMember;
class Payload;

class ChannelWatcher {
 public:
  // The channel has come to be on this worker; its first member has not joined yet.
  virtual void first_member(const Channel& /*channel*/) {}
  // Its last member has left, and it is gone.
  virtual void last_left(std::string_view /*name*/) {}
  virtual void joined(const Channel& /*channel*/, const ChannelMember& /*who*/) {}
  // `who` is no member any more.
  virtual void left(const Channel& /*channel*/, const ChannelMember& /*who*/) {}
  // Before the message goes to the first of the members.
  virtual void published(const Channel& /*channel*/, const Payload& /*message*/) {}

 protected:
  ~ChannelWatcher() = default;
};

}  // namespace holdfast
