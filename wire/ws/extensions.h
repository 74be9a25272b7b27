// wire/ws/extensions.h - Sec-WebSocket-Extensions: a client's offer, and its answer (RFC 6455 section 9.1,
// RFC 7692 sections 5 and 7.1). Pure bytes.
//
//   parameter of an offer         allowed as             answered
//   server_no_context_takeover    no value               always, asked for or not
//   client_no_context_takeover    no value               if it was offered, or the policy allows no takeover
//   server_max_window_bits        8 to 15                if it was offered: the same
//   client_max_window_bits        8 to 15, or no value   if it was offered and ours or the client's is below 15: the smaller
//
// A client that does not offer client_max_window_bits cannot be given a smaller window than 15; if the policy has a
// smaller one, it may not take its context over instead. An offer with another parameter, another value or a parameter
// twice is declined, and the next is looked at. Other extensions are passed over.
#pragma once

#include <optional>
#include <string>

#include "wire/http/request.h"
#include "wire/ws/deflate.h"

namespace holdfast::ws {

struct DeflatePolicy {
  bool client_takeover = false;
  unsigned client_max_window_bits = DeflateTerms::kMaxBits;
};

// The first offer of permessage-deflate that can be accepted; none: the connection goes on without. Empty: the header
// breaks RFC 6455 section 9.1, and the hand-shake fails.
std::optional<DeflateTerms> negotiate(const http::Request& request, const DeflatePolicy& policy);
// The header line that accepts them; "" for none.
std::string extensions_line(DeflateTerms terms);

}  // namespace holdfast::ws
