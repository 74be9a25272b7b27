// What a client is sent, and what happens if it does not read: the policies of send_queue.

#include <algorithm>

#include "wire/json/writer.h"
#include "worker/clients/client.h"

namespace holdfast {

bool Client::deliver(Payload& message, Urgency urgency) {
  const BufferRef& bytes = framed(message);
  if (!bytes) {
    runtime_.stats.messages_dropped.add();
    return false;
  }
  if (!has_session() && phase_ != Phase::connecting) return false;
  conf::SlowConsumer policy = message.slow_consumer(home_.listen);
  bool passes = unsent() + bytes.size() > home_.listen.send_queue;
  if (slow_ || (passes && !make_room(bytes, policy))) {
    runtime_.stats.messages_dropped.add();
    return false;
  }
  if (message.at().known()) before_message(message, bytes, urgency);
  enqueue(bytes, urgency);
  return true;
}

// As a message, so one that comes back has it as well.
void Client::kept_out(std::string_view channel, std::string_view reason) {
  json::Writer json;
  json.begin_object().key("holdfast").begin_object().key("refused").begin_object();
  json.key("channel").string(channel).key("reason").string(reason);
  json.end_object().end_object().end_object();
  Payload message(json.text(), false);
  home_.sessions.deliver(*session_, message, Urgency::bulk);
}

// For a message that passes the bound. False: it is the one that goes.
bool Client::make_room(const BufferRef& message, conf::SlowConsumer policy) {
  size_t bytes = message.size(), bound = home_.listen.send_queue, most = 0;
  switch (policy) {
    case conf::SlowConsumer::close:
      slow_ = asks_before_flush_ = true;
      flush_soon();
      return false;
    case conf::SlowConsumer::drop_oldest:
      most = bound - bound / 8 - std::min(bytes, bound - bound / 8);
      break;
    case conf::SlowConsumer::keep_latest:
      break;
    case conf::SlowConsumer::drop_newest:
      runtime_.stats.messages_dropped_slow.add();
      return false;
  }
  size_t dropped = 0;
  if (bytes <= bound)
    dropped = drop_oldest_output(most, message.tag(),
                                 [this](const BufferRef& b) { return is_message(b); });
  if (session_->resumable) home_.sessions.resume().not_sent(*session_, dropped);
  bool room = unsent() + bytes <= bound;
  if (!room) runtime_.stats.messages_dropped_slow.add();
  return room;
}

bool Client::before_flush() {
  if (!slow_ && !later_) return true;
  if (later_) {
    later_ = false;
    answer_later();
    if (retired()) return false;
  }
  if (slow_) {
    slow_ = false;
    close(EndReason::slow);
  }
  return true;
}

// Its session may be closed already; then what is left to be sent is given up.
void Client::shed() {
  if (!has_session() && phase_ != Phase::connecting) {
    forget_output();
    return retire();
  }
  runtime_.stats.limits_shed.add();
  close(EndReason::slow);
}

}  // namespace holdfast
