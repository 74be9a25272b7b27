#include "worker/channels/payload.h"

#include <algorithm>

#include "wire/resp/reply_writer.h"
#include "wire/sse/writer.h"
#include "wire/tcp/framer.h"
#include "wire/ws/encoder.h"
#include "worker/net/runtime.h"

namespace holdfast {

void Payload::go_to(const conf::ChannelRule* rule, uint64_t tag, std::string_view channel) {
  rule_ = rule;
  channel_ = channel;
  if (std::exchange(tag_, tag) == tag) return;
  websocket_ = {};
  forget_events();
  deflated_.clear();
  tcp_.clear();
}

const BufferRef& Payload::framed(const conf::Listen& listen) {
  if (listen.protocol == conf::Protocol::websocket) {
    if (!websocket_) {
      char head[10];
      size_t n =
          ws::write_header(head, binary_ ? ws::Opcode::binary : ws::Opcode::text, data_.size());
      websocket_ = BufferRef::concat({head, n}, data_).tagged(tag_);
    }
    return websocket_;
  }
  for (const auto& [of, buffer] : tcp_)
    if (of == &listen) return buffer;
  std::string bytes = tcp::encode(*listen.framing, data_);
  tcp_.emplace_back(&listen, bytes.empty() ? BufferRef() : BufferRef::concat(bytes).tagged(tag_));
  return tcp_.back().second;
}

BufferRef Payload::make_event(std::string_view name, std::string_view id) const {
  std::string bytes = binary_ ? sse::binary_message(data_, id) : sse::message({data_, name, id});
  return BufferRef::concat(bytes).tagged(tag_);
}

void Payload::forget_events() {
  for (auto& of_name : events_)
    for (BufferRef& event : of_name) event = {};
}

const BufferRef& Payload::event(bool named, bool with_id) {
  std::string_view name = channel_.empty() ? stream_channel_ : channel_;
  if (!named || !sse::may_be_a_name(name)) name = {};
  bool placed = with_id && at_.known();
  // Those with another name or place are of a channel or a message before.
  if (!name.empty() && name != event_name_) {
    event_name_ = name;
    for (BufferRef& event : events_[1]) event = {};
  }
  if (placed && at_ != event_at_) {
    event_at_ = at_;
    for (auto& of_name : events_) of_name[1] = {};
  }
  BufferRef& event = events_[name.empty() ? 0 : 1][placed ? 1 : 0];
  if (!event) event = make_event(name, placed ? text_of(at_) : std::string());
  return event;
}

const BufferRef& Payload::deflated(const conf::Listen& listen, ws::DeflateTerms terms,
                                   Runtime& runtime) {
  const auto& wanted = listen.permessage_deflate;
  bool fits = data_.size() <= size_t{1} << terms.server_bits() ||
              terms.server_bits() == ws::DeflateTerms::kMaxBits;
  if (!wanted || data_.size() < wanted->min_size || !fits) return framed(listen);
  auto same_level = [&](const auto& entry) { return entry.first == wanted->level; };
  auto known = std::find_if(deflated_.begin(), deflated_.end(), same_level);
  if (known == deflated_.end())
    known = deflated_.insert(known, {wanted->level, deflate(wanted->level, runtime)});
  return known->second ? known->second : framed(listen);
}

// Empty: it goes as it is.
BufferRef Payload::deflate(int level, Runtime& runtime) const {
  if (data_.size() > kLongestDeflated) {
    runtime.stats.ws_deflate_too_long.add();
    return {};
  }
  std::string_view shorter = runtime.deflater.deflate(data_, level);
  if (shorter.empty()) {
    runtime.stats.ws_deflate_vain.add();
    return {};
  }
  runtime.stats.ws_deflated.add();
  runtime.stats.ws_deflated_from.add(data_.size());
  runtime.stats.ws_deflated_to.add(shorter.size());
  char head[10];
  auto opcode = binary_ ? ws::Opcode::binary : ws::Opcode::text;
  size_t n = ws::write_header(head, opcode, shorter.size(), true);
  return BufferRef::concat({head, n}, shorter).tagged(tag_);
}

const BufferRef& Payload::resp(const resp::Place& place, int version) {
  if (resp_channel_ != place.channel || resp_pattern_ != place.pattern ||
      resp_shard_ != place.shard || resp_position_ != place.position) {
    resp_channel_ = place.channel;
    resp_pattern_ = place.pattern;
    resp_shard_ = place.shard;
    resp_position_ = place.position;
    for (BufferRef& framed : resp_) framed = {};
  }
  BufferRef& framed = resp_[version == 3 ? 1 : 0];
  if (!framed)
    framed = BufferRef::concat(resp::message_head(place, data_.size(), version), data_, "\r\n");
  return framed;
}

}  // namespace holdfast
