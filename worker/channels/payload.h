// worker/channels/payload.h - one pushed message, framed at most once for each kind of connection that gets it.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/position.h"
#include "conf/config.h"
#include "wire/resp/reply_writer.h"
#include "wire/ws/deflate.h"

namespace holdfast {

struct Runtime;

// Valid while the data it was made of is. `binary` decides the frame's opcode on WebSockets.
class Payload {
 public:
  Payload(std::string_view data, bool binary) : data_(data), binary_(binary) {}
  // The message as bytes for connections of this listener; empty if it cannot be framed (longer than the
  // length field allows).
  const BufferRef& framed(const conf::Listen& listen);
  // The same for a connection with permessage-deflate: deflated once for all of them (ws/deflate.h, W), and as framed()
  // if the message is shorter than the listener's min_size or longer than kLongestDeflated or the connection's window,
  // if it would not become shorter, or if the listener has no permessage-deflate any more.
  const BufferRef& deflated(const conf::Listen& listen, ws::DeflateTerms terms, Runtime& runtime);
  // The message as an event of a stream (wire/sse/writer.h). `named`: by the channel that it goes to, unless a reader would take that for
  // another event. `with_id`: that is its position, if it has one.
  const BufferRef& event(bool named = false, bool with_id = false);
  // The message as a RESP subscriber gets it, in version 2 or 3. Kept for one place at a time.
  const BufferRef& resp(const resp::Place& place, int version);
  const BufferRef& resp(std::string_view channel, int version) {
    return resp(resp::Place{.channel = channel}, version);
  }
  // From here on it is for the members of a channel with this rule (null: none), until the next call. Framed buffers carry
  // the tag: that of the rule, or with keep-latest of the channel. The name of the channel ("": it goes to none) is valid as long.
  void go_to(const conf::ChannelRule* rule, uint64_t tag, std::string_view channel = {});
  // It is a message of this channel's stream; the name is valid as long as it is being delivered.
  void came_from(std::string_view channel, const Position& at) {
    stream_channel_ = channel;
    at_ = at;
  }
  // Unknown: of no stream.
  const Position& at() const { return at_; }
  std::string_view stream_channel() const { return stream_channel_; }
  // The same bytes lie elsewhere from here on; framed buffers stay.
  void moved_to(std::string_view data) { data_ = data; }
  // The policy for a session of this listener that has too many unsent bytes to take it.
  conf::SlowConsumer slow_consumer(const conf::Listen& listen) const {
    return rule_ != nullptr && rule_->slow_consumer ? *rule_->slow_consumer : listen.slow_consumer;
  }
  std::string_view data() const { return data_; }
  bool binary() const { return binary_; }

 private:
  // The bytes deflated in one turn: some 30 ms.
  static constexpr size_t kLongestDeflated = 1024 * 1024;

  BufferRef deflate(int level, Runtime& runtime) const;
  void forget_events();
  BufferRef make_event(std::string_view name, std::string_view id) const;

  std::string_view data_;
  bool binary_;
  const conf::ChannelRule* rule_ = nullptr;
  uint64_t tag_ = 0;
  std::string_view channel_;
  std::string_view stream_channel_;
  Position at_;
  BufferRef websocket_;
  std::string event_name_;                           // of events_
  Position event_at_;                                // likewise
  std::array<std::array<BufferRef, 2>, 2> events_;   // by: has it the name, has it the id
  std::vector<std::pair<int, BufferRef>> deflated_;  // by level; empty: as websocket_
  std::vector<std::pair<const conf::Listen*, BufferRef>> tcp_;
  std::string resp_channel_, resp_pattern_, resp_position_;
  bool resp_shard_ = false;
  std::array<BufferRef, 2> resp_;  // version 2, version 3
};

}  // namespace holdfast
