// worker/observe/trace_record.h - what a worker traces for others, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace holdfast::handover {

// TraceSubject.
struct SubjectRecord {
  uint8_t kind = 0;
  uint64_t session_hi = 0;
  uint64_t session_lo = 0;
  std::string name;
};
template <class Archive>
void fields(Archive& a, SubjectRecord& r) {
  auto& [kind, session_hi, session_lo, name] = r;
  a(1, kind);
  a(2, session_hi);
  a(3, session_lo);
  a(4, name);
}

struct WatchRecord {
  uint16_t asker = 0;
  uint64_t token = 0;
  SubjectRecord subject;
  uint64_t until_ms = 0;
  uint64_t lost = 0;
};
template <class Archive>
void fields(Archive& a, WatchRecord& r) {
  auto& [asker, token, subject, until_ms, lost] = r;
  a(1, asker);
  a(2, token);
  a(3, subject);
  a(4, until_ms);
  a(5, lost);
}

// What a worker traces for others.
struct TracerRecord {
  std::vector<WatchRecord> watches;
};
template <class Archive>
void fields(Archive& a, TracerRecord& r) {
  auto& [watches] = r;
  a(1, watches);
}

}  // namespace holdfast::handover
