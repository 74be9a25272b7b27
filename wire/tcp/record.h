// wire/tcp/record.h - a framer in the middle of a message, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>

#include "base/fields.h"

namespace holdfast::handover {

struct FramerRecord {
  std::string partial;
  uint8_t error = 0;  // tcp::FrameError
  bool done = false;
};
template <class Archive>
void fields(Archive& a, FramerRecord& r) {
  auto& [partial, error, done] = r;
  a(1, partial);
  a(2, error);
  a(3, done);
}

}  // namespace holdfast::handover
