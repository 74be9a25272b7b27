// base/names.h - characters that no name of a channel or a user may have, for all places that take one: the configuration, the
// API, the application's headers, tokens, URLs.
#pragma once

#include <cstddef>
#include <string_view>

namespace holdfast {

// Unicode category Cc: U+0000..U+001F, U+007F and U+0080..U+009F (in UTF-8: C2 80..C2 9F).
inline bool has_control_character(std::string_view utf8) {
  for (size_t i = 0; i < utf8.size(); ++i) {
    auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < utf8.size() && static_cast<unsigned char>(utf8[i + 1]) < 0xa0)
      return true;
  }
  return false;
}

}  // namespace holdfast
