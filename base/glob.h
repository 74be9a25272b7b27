// base/glob.h - Redis's patterns of names: ? one byte, * any bytes, [a-z] [^a-z] a choice, \ takes
// the meaning from the next byte.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// In a time of at most the product of both lengths.
bool glob_match(std::string_view pattern, std::string_view name);
// The beginning of every name that matches.
std::string glob_prefix(std::string_view pattern);

}  // namespace holdfast
