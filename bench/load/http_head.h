// bench/load/http_head.h - status and fields of an HTTP/1.1 answer's head. Pure bytes.
//
// For answers to pushes, one for every message that is measured: it looks for one field and checks no other line, which takes half
// the time of wire/http/response_head.h.
#pragma once

#include <string_view>

namespace holdfast::bench {

// Of a head that starts with its status line; 0 if that is malformed.
int status_of_head(std::string_view head);
// The value of the first field of that name (any case), "" without.
std::string_view field_of_head(std::string_view head, std::string_view name);

}  // namespace holdfast::bench
