// worker/sessions/message_rate.h - how many messages and bytes each session has sent in this second: message_rate and byte_rate.
//
// A second is one of the clock, so that twice the limit can come around its turn, and never more. There is nothing here
// if no limit is set; and nothing travels in a handover: the second begins anew then.
#pragma once

#include <cstdint>
#include <vector>

#include "conf/config.h"

namespace holdfast {

class MessageRate {
 public:
  explicit MessageRate(const conf::Limits& limits)
      : messages_(limits.message_rate), bytes_(limits.byte_rate) {}

  // A new session has this number.
  void begin(uint32_t session) {
    if (session < windows_.size()) windows_[session] = {};
  }
  // False: with this message it is too much.
  bool allows(uint32_t session, size_t bytes, uint64_t now_ms) {
    if (messages_ == 0 && bytes_ == 0) return true;
    if (session >= windows_.size()) windows_.resize(session + 1);
    Window& window = windows_[session];
    auto second = uint32_t(now_ms / 1000);
    if (window.second != second) window = {second, 0, 0};
    ++window.messages;
    window.bytes += bytes;
    return (messages_ == 0 || window.messages <= messages_) &&
           (bytes_ == 0 || window.bytes <= bytes_);
  }

 private:
  struct Window {
    uint32_t second = 0;
    uint32_t messages = 0;
    uint64_t bytes = 0;
  };
  unsigned messages_;
  size_t bytes_;
  std::vector<Window> windows_;  // by session
};

}  // namespace holdfast
