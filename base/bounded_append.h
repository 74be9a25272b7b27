// base/bounded_append.h - appends to a string whose final size is known or bounded.
//
// The codecs keep unfinished messages with it. std::string alone would double past the bound; here
// the capacity doubles while data comes, and never passes `limit` (nor the 30 bytes that
// std::string gives at least).
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace holdfast {

// Needs to.size() + more.size() <= limit; the callers have judged that before.
inline void bounded_append(std::string& to, std::string_view more, size_t limit) {
  size_t need = to.size() + more.size();
  if (need > to.capacity()) {
    std::string bigger;  // a fresh one: reserve() of the old one would double on its own
    bigger.reserve(std::min(std::max(need, 2 * to.capacity()), std::max(need, limit)));
    bigger.append(to);
    to.swap(bigger);
  }
  to.append(more);
}

// Gives the memory back, too: assigning an empty string keeps it.
inline void release(std::string& text) {
  std::string().swap(text);
}

}  // namespace holdfast
