// worker/clients/refusal.h - why hand-shakes are refused: each reason has a counter (handshakes.*) and a line in the log, at most one a
// second, that names the values that were compared, so that an operator can see what a client cannot.
//
// Reasons that others count: 401 tokens.refused, 429 limits.address_*, full sessions.refused_full, a refusal by the application
// events.connect_refused, no answer of it events.connect_failed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/text.h"
#include "shm/session_directory.h"
#include "worker/net/runtime.h"

namespace holdfast {

enum class Refusal : uint8_t {
  bad_request,
  bad_path,
  bad_origin,
  bad_headers,
  bad_subprotocol,
  bad_resume,
  not_passed_on,
  stopping,
};

// `values`: key="value" pairs, made with shown(); may be "".
void note_refusal(Runtime& runtime, Refusal why, const shm::SessionOrigin& from, int status,
                  std::string_view text, std::string_view values);

// A header line: another time for each, so that a crowd that is refused in one turn does not come back at one instant.
std::string retry_after();

}  // namespace holdfast
