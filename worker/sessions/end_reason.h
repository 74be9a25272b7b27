// worker/sessions/end_reason.h - why a session ended. end_reason.def has a line for each reason: a new one is a line more there, and a
// word in holdfast(7) (tests/lint/documents.py).
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/stats.h"

namespace holdfast {

enum class EndReason : uint8_t {
#define HF_END_REASON(name, number, text, counter, code) name = (number),
#include "worker/sessions/end_reason.def"
#undef HF_END_REASON
};

struct EndReasonFacts {
  std::string_view text;  // HOLDFAST_REASON of the close event
  shm::Cell shm::StatsBlock::*counter;
  uint16_t code;
};
// Of a number that this version does not know, which a newer predecessor may have sent: "unknown", not counted, 1006.
EndReasonFacts facts_of(EndReason reason);

inline std::string_view end_reason_text(EndReason reason) {
  return facts_of(reason).text;
}

}  // namespace holdfast
