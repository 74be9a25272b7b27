// bench/load/http_head.h - status and fields of an HTTP/1.1 answer's head. Pure bytes.
#pragma once

#include <string_view>

namespace holdfast::bench {

// Of a head that starts with its status line; 0 where that is malformed.
int status_of_head(std::string_view head);
// The value of the first field of that name (any case), "" without.
std::string_view field_of_head(std::string_view head, std::string_view name);

}  // namespace holdfast::bench
