// wire/proxy/forwarded.h - the client's address by the entries of proxies in a request.
//
// Each proxy appends the address that it was connected from, so the list is read from its end, one hop after the other: an
// address is believed because the hop after it, which wrote it, is a proxy of ours. The first that is none is the client.
//
// Invariants
//   I1  The text before the entry of a trusted proxy does not influence how that entry is read: no open quote, no backslash, no
//       broken line of a client's reaches beyond the comma that the proxy has put after it.
//   I2  The walk ends at the last hop whose entry could be read. That hop is the answer, and `readable` says whether the list
//       ended there or the next entry makes no sense; then nobody may take the answer for a proxy that speaks for itself.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string_view>

#include "conf/config.h"
#include "wire/http/request.h"

namespace holdfast::proxy {

struct Believed {
  in6_addr client;
  bool readable = true;  // I2
};

// `peer`: the sender of the request; if it is no proxy of the listener's, nothing is read. Of the listener its `forwarded` (which
// header; none: it is the peer) and its `proxies` matter. Several lines of the header are one list, in their order.
//
// X-Forwarded-For has no grammar but its commas. Forwarded is RFC 7239's (section 4): elements between commas, pairs between
// semicolons (blanks around them are taken), a value is a token or a quoted string, and unquoted addresses with colons are taken
// too. An empty entry, "unknown" and hidden names (section 6.3) name nobody, which is not readable.
Believed client_behind(const http::Request& request, const conf::Listen& listen,
                       const in6_addr& peer);

// One entry of X-Forwarded-For, or the node of a Forwarded (RFC 7239 section 6): "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
// "[2001:db8::1]", "[2001:db8::1]:80", and with a zone (RFC 4007 section 11), which is left out: "fe80::1%eth0". Empty: none of
// them, or the address that means none ("0.0.0.0", "::").
std::optional<in6_addr> address_of_node(std::string_view text);

}  // namespace holdfast::proxy
