// worker/routing/records.h - kinds of ring records, and the head by which their versions are told apart.
//
// While slots pass from one binary to the next, both read each other's records. So a command or a reply has a version:
//   version 0   as commit 64a7ea7 writes it, byte for byte. Its first byte, an operation or "this is the last piece", is below
//               0x80. Written for everything that 64a7ea7 can carry out: no two binaries need to agree on anything first.
//   version n   head: 0x80 + n u8 | op u8 | flags u16, then what command_record.h and result_record.h say. Written for what came
//               later, and in answers to it: a reply has the version of its command, so it is read by its reader.
// A 64a7ea7 takes the head for an operation that it does not know: it counts push.bad_record and does nothing.
//
// Rules that keep old and new apart
//   R1  Numbers of kinds (records.def), operations (Op), flags, fields and items never change their meaning. One that is given
//       up is not used again.
//   R2  A reader passes over what it does not know of fields, items and flags, unless kNeeded (fields.h), kNeededItem or
//       kNeededFlags says that the rest is wrong without it.
//   R3  A kind, version, operation or needed part that a reader does not know: counted push.bad_record, and nothing else happens.
//   R4  Version 0 is frozen; tests/unit/routing/golden_records_test.cc has its bytes.
// Native byte order throughout: a record stays on its host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace holdfast {

enum class RecordKind : uint32_t {
#define HOLDFAST_RECORD(number, name, since) name = (number),
#include "worker/routing/records.def"
#undef HOLDFAST_RECORD
};

// Above all numbers of kinds.
inline constexpr size_t kRecordKinds = 1 + std::max({
#define HOLDFAST_RECORD(number, name, since) size_t{number},
#include "worker/routing/records.def"
#undef HOLDFAST_RECORD
                                           });

inline constexpr uint8_t kVersioned = 0x80;
inline constexpr uint8_t kRecordVersion = 1;  // the highest that this binary reads
inline constexpr uint16_t kNeededFlags = 0x00ff;
inline constexpr uint8_t kNeededItem = 0x80;

struct RecordHead {
  uint8_t version = kVersioned | kRecordVersion;
  uint8_t op = 0;
  uint16_t flags = 0;
};
static_assert(sizeof(RecordHead) == 4);

// Of a command, or of a reply behind its token: any first byte has a version, also one that nobody reads yet.
inline uint8_t record_version(std::string_view bytes) {
  auto first = uint8_t(bytes.empty() ? 0 : bytes.front());
  return (first & kVersioned) != 0 ? uint8_t(first & ~kVersioned) : uint8_t{0};
}
inline bool understood(const RecordHead& head, unsigned known_flags) {
  return head.version == (kVersioned | kRecordVersion) &&
         (head.flags & kNeededFlags & ~known_flags) == 0;
}

}  // namespace holdfast
