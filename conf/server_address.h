// conf/server_address.h - where a back end's server is: an address, or a name and a port that is looked up while the program
// runs ("php:9000", "localhost:9000").
#pragma once

#include <optional>
#include <string>

#include "conf/config.h"

namespace holdfast::conf {

// As parse_address(), or NAME:PORT: then only its text is known (is_name()). A name is letters, digits, dots, hyphens and
// underscores, at most 253, and does not end as an IPv4 address would; the port is not 0.
std::optional<Address> parse_server_address(const std::string& text);
// The address is not known, because it is a name's.
inline bool is_name(const Address& address) {
  return address.raw_bytes == 0;
}

}  // namespace holdfast::conf
