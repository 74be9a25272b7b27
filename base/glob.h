// base/glob.h - Redis's patterns of names: ? one byte, * any bytes, [a-z] [^a-z] a choice, \ takes
// the meaning away.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// In a time of at most the product of both lengths.
bool glob_match(std::string_view pattern, std::string_view name);
// What every name that matches begins with.
std::string glob_prefix(std::string_view pattern);

}  // namespace holdfast
