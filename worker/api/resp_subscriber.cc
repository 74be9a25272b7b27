#include "worker/api/resp_subscriber.h"

#include <set>

namespace holdfast::api {

bool RespSubscriber::has_room_for(resp::Arguments channels) const {
  if (count() + channels.size() <= kMaxSubscriptions) return true;
  // Some may be there already, or be named twice. A stranger chooses the names: no hash that he can foresee.
  std::set<std::string_view> all(channels.begin(), channels.end());
  for (const Membership& m : memberships) all.insert(m.channel->name);
  return all.size() <= kMaxSubscriptions;
}

void RespSubscriber::subscribe(std::string_view channel) {
  bool first = memberships.empty();
  context_.hub->join(*this, channel);
  if (first) context_.stats->resp_subscribers.add();  // I1
}

void RespSubscriber::unsubscribe(std::string_view channel) {
  if (context_.hub->leave(*this, channel) && memberships.empty())
    context_.stats->resp_subscribers.sub();  // I1
}

void RespSubscriber::unsubscribe_all() {
  if (memberships.empty()) return;
  context_.hub->leave_all(*this);
  context_.stats->resp_subscribers.sub();  // I1
}

bool RespSubscriber::published(std::string_view channel, Payload& payload, Urgency urgency) {
  if (aborted_) return false;
  const BufferRef& bytes = payload.resp(channel, state_.version);
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
