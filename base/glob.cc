#include "base/glob.h"

#include <utility>

namespace holdfast {
namespace {

// One element of a pattern other than '*': whether it matches the byte, and where the next begins.
struct Element {
  bool matches;
  size_t next;
};

bool between(char low, char c, char high) {
  auto byte = [](char b) { return static_cast<unsigned char>(b); };
  return byte(low) <= byte(c) && byte(c) <= byte(high);
}

// `at` stands behind the '['. A choice that does not end ends with the pattern.
Element choice(std::string_view pattern, size_t at, char c) {
  bool inverted = at < pattern.size() && pattern[at] == '^';
  if (inverted) ++at;
  bool found = false;
  for (; at < pattern.size() && pattern[at] != ']'; ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      found = pattern[++at] == c || found;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      char low = pattern[at], high = pattern[at + 2];
      if (between(high, low, low) && low != high) std::swap(low, high);
      found = between(low, c, high) || found;
      at += 2;
    } else {
      found = pattern[at] == c || found;
    }
  }
  return {found != inverted, at + (at < pattern.size() ? 1 : 0)};
}

Element element(std::string_view pattern, size_t at, char c) {
  switch (pattern[at]) {
    case '?':
      return {true, at + 1};
    case '[':
      return choice(pattern, at + 1, c);
    case '\\':
      if (at + 1 < pattern.size()) ++at;
      return {pattern[at] == c, at + 1};
    default:
      return {pattern[at] == c, at + 1};
  }
}

}  // namespace

// Where something does not match, the last star takes one byte more: stars before it need not be tried
// again, because what stands between two stars was found at its first place.
bool glob_match(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, star_name = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_name = n;
      continue;
    }
    if (p < pattern.size()) {
      Element found = element(pattern, p, name[n]);
      if (found.matches) {
        p = found.next;
        ++n;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star;
    n = ++star_name;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string glob_prefix(std::string_view pattern) {
  std::string prefix;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '*' || pattern[at] == '?' || pattern[at] == '[') break;
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    prefix += pattern[at];
  }
  return prefix;
}

}  // namespace holdfast
