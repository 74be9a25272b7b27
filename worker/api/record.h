// worker/api/record.h - a connection of the push API, as it travels to a successor. No answer is owed on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fields.h"
#include "worker/net/output_record.h"
#include "worker/net/tls/record.h"

namespace holdfast::handover {

// ApiConnection: one descriptor.
struct ApiRecord {
  std::string pending;  // read, not used up
  std::string face;     // a record of the face's own
  OutputRecord output;
  uint64_t next_request = 0;
  uint64_t unsent_when_armed = 0;
  uint64_t deadline_ms = 0;
  uint8_t phase = 0;  // ApiConnection::Phase
  uint8_t due = 0;    // ApiConnection::Due
  bool at_eof = false;
  bool shut = false;
  bool kept_alive = false;
  std::optional<TlsRecord> tls;    // empty: it speaks without
  uint64_t address = 0;            // Strangers::Key
  uint64_t stranger_since_ms = 0;  // 0: it has shown who it is
  std::string
      anchor;  // who answers for its certificate (tls/anchors.h); "-": it showed none. Empty: not told
};
template <class Archive>
void fields(Archive& a, ApiRecord& r) {
  auto& [pending, face, output, next_request, unsent_when_armed, deadline_ms, phase, due, at_eof,
         shut, kept_alive, tls, address, stranger_since_ms, anchor] = r;
  a(1, pending);
  a(2, face);
  a(3, output);
  a(4, next_request);
  a(5, unsent_when_armed);
  a(6, deadline_ms);
  a(7, phase);
  a(8, due);
  a(9, at_eof);
  a(10, shut);
  a(11, kept_alive);
  // Without it what the pusher says next would be no request.
  a(12 | kNeeded, tls);
  a(13, address);
  a(14, stranger_since_ms);
  a(15, anchor);
}

}  // namespace holdfast::handover
