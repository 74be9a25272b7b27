#include "worker/payload.h"

#include "worker/resp/reply_writer.h"
#include "worker/tcp/framer.h"
#include "worker/ws/encoder.h"

namespace holdfast {

const BufferRef& Payload::framed(const conf::Listen& listen) {
  if (listen.protocol == conf::Protocol::websocket) {
    if (!websocket_) {
      char head[10];
      size_t n =
          ws::write_header(head, binary_ ? ws::Opcode::binary : ws::Opcode::text, data_.size());
      websocket_ = BufferRef::concat({head, n}, data_);
    }
    return websocket_;
  }
  for (const auto& [of, buffer] : tcp_)
    if (of == &listen) return buffer;
  std::string bytes = tcp::encode(*listen.framing, data_);
  tcp_.emplace_back(&listen, bytes.empty() ? BufferRef() : BufferRef::concat(bytes));
  return tcp_.back().second;
}

const BufferRef& Payload::resp(std::string_view channel, int version) {
  if (resp_channel_ != channel) {
    resp_channel_ = channel;
    for (BufferRef& framed : resp_) framed = {};
  }
  BufferRef& framed = resp_[version == 3 ? 1 : 0];
  if (!framed)
    framed = BufferRef::concat(resp::message_head(channel, data_.size(), version), data_, "\r\n");
  return framed;
}

}  // namespace holdfast
