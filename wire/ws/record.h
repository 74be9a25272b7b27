// wire/ws/record.h - a decoder in the middle of a message, as it travels to a successor.
#pragma once

#include "base/fields.h"
#include "wire/ws/decoder.h"

namespace holdfast::ws {

template <class Archive>
void fields(Archive& a, DecoderState& r) {
  auto& [payload_left, key, head, head_bytes, frame, message, utf8, in_frame, fin, finished,
         deflated, skips] = r;
  a(1, payload_left);
  a(2, key);
  a(3, head);
  a(4, head_bytes);
  a(5, frame);
  a(6, message);
  a(7, utf8);
  a(8, in_frame);
  a(9, fin);
  a(10, finished);
  a(11, deflated);
  a(12, skips);
}

template <class Archive>
void fields(Archive& a, DecoderRecord& r) {
  auto& [state, message, control, window] = r;
  a(1, state);
  a(2, message);
  a(3, control);
  a(4, window);
}

}  // namespace holdfast::ws
