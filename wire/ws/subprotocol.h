// wire/ws/subprotocol.h - Sec-WebSocket-Protocol: the protocol on top of WebSocket (RFC 6455 sections 1.9, 4.2.2, 11.3.4).
//
// A client offers names; the server answers one of them, or none, and then a browser that has offered one breaks off. So an
// answer is always one of the offer, letter by letter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.h"

namespace holdfast::ws {

// Over all lines of the header, in the order sent. An entry that is no token (RFC 9110 section 5.6.2) is left out.
std::vector<std::string> offered_subprotocols(const http::Request& request);

// The first of `spoken` that is offered, however the offer is ordered; "": none.
std::string choose_subprotocol(const std::vector<std::string>& spoken,
                               const std::vector<std::string>& offered);

}  // namespace holdfast::ws
