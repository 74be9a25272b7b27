// worker/net/output_record.h - unsent output of a connection, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace holdfast::handover {

// A buffer of unsent output: its bytes, or the number of one that many connections share and that has been
// sent once for all of them (shelf.h).
struct BufferRecord {
  uint64_t shared = 0;  // 0: the bytes are here
  std::string bytes;
  uint64_t tag = 0;
};
template <class Archive>
void fields(Archive& a, BufferRecord& r) {
  auto& [shared, bytes, tag] = r;
  a(1, shared);
  a(2, bytes);
  a(3, tag);
}

// Unsent output of a connection.
struct OutputRecord {
  std::vector<BufferRecord> buffers;  // oldest first
  uint32_t sent = 0;                  // bytes of the first that are gone
  bool wrote = false;                 // some byte has been sent on this connection
  bool held = false;                  // waits for the hand-shake's answer
};
template <class Archive>
void fields(Archive& a, OutputRecord& r) {
  auto& [buffers, sent, wrote, held] = r;
  a(1, buffers);
  a(2, sent);
  a(3, wrote);
  a(4, held);
}

}  // namespace holdfast::handover
