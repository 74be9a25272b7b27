// wire/tcp/record.h - a framer in the middle of a message, as it travels to a successor.
#pragma once

#include "base/fields.h"
#include "wire/tcp/framer.h"

namespace holdfast::tcp {

template <class Archive>
void fields(Archive& a, FramerRecord& r) {
  auto& [partial, error, done] = r;
  a(1, partial);
  a(2, error);
  a(3, done);
}

}  // namespace holdfast::tcp
