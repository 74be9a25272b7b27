// worker/routing/letter_record.h - a record for another worker that waits, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>

#include "base/fields.h"

namespace holdfast::handover {

// A record for another worker that its ring had no room for.
struct LetterRecord {
  uint16_t to = 0;
  uint32_t kind = 0;
  std::string body;
  uint32_t restarts = 0;  // of that slot when it began to wait, plus one; 0: not said
};
template <class Archive>
void fields(Archive& a, LetterRecord& r) {
  auto& [to, kind, body, restarts] = r;
  a(1, to);
  a(2, kind);
  a(3, body);
  a(4, restarts);
}

}  // namespace holdfast::handover
