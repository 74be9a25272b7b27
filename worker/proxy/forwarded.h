// worker/proxy/forwarded.h - the client's address by what proxies have written into a request.
//
// Each proxy appends the address that it was connected from, so the list is read from its end: an address is believed
// because the one behind it, which wrote it, is a proxy of ours. The first that is none is the client.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string_view>

#include "conf/config.h"
#include "worker/http/request.h"

namespace holdfast::proxy {

// `peer`: who sent the request, a proxy of the listener's. It is the answer, too, where the header is missing or its last
// entry is no address. Of the listener its `forwarded` (which header) and its `proxies` matter.
in6_addr client_behind(const http::Request& request, const conf::Listen& listen,
                       const in6_addr& peer);

// One entry of X-Forwarded-For, or the node of a Forwarded (RFC 7239 section 6): "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
// "[2001:db8::1]", "[2001:db8::1]:80". Empty: none of them ("unknown", "_hidden").
std::optional<in6_addr> address_of_node(std::string_view text);

}  // namespace holdfast::proxy
