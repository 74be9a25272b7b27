// base/text.h - small things that are done with text in many places.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// A stranger's text as it may stand between the quotes of a log line: printable ASCII, without quotes or backslashes, cut if it
// is long.
std::string shown(std::string_view text);

}  // namespace holdfast
