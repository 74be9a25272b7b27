// worker/api/router/record.h - the router face of a connection, as it travels to a successor.
#pragma once

#include "base/fields.h"

namespace holdfast::handover {

// api::RouterFace.
struct RouterRecord {
  bool held_back = false;
};
template <class Archive>
void fields(Archive& a, RouterRecord& r) {
  auto& [held_back] = r;
  a(1, held_back);
}

}  // namespace holdfast::handover
