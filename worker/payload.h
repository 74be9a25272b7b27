// worker/payload.h - one pushed message, framed at most once for each kind of connection that gets it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "worker/buffer.h"

namespace holdfast {

// Valid while the data it was made of is. `binary` decides the frame's opcode on WebSockets.
class Payload {
 public:
  Payload(std::string_view data, bool binary) : data_(data), binary_(binary) {}
  // The message as bytes for connections of this listener; empty where it cannot be framed (longer than the
  // length field can say).
  const BufferRef& framed(const conf::Listen& listen);
  // The message as a RESP subscriber of `channel` gets it, in version 2 or 3. Kept for one channel at a
  // time.
  const BufferRef& resp(std::string_view channel, int version);
  std::string_view data() const { return data_; }
  bool binary() const { return binary_; }

 private:
  std::string_view data_;
  bool binary_;
  BufferRef websocket_;
  std::vector<std::pair<const conf::Listen*, BufferRef>> tcp_;
  std::string resp_channel_;
  BufferRef resp_[2];  // version 2, version 3
};

}  // namespace holdfast
