// conf/units.h - sizes and durations as text, both ways. Pure.
//
//   size      "512 B", "64 KiB", "1 MiB", "2 GiB"   powers of 1024; the space may be left out
//   duration  "250ms", "25s", "5m", "1h"            one number, one unit; a space may stand between
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::conf {

struct Quantity {
  uint64_t value = 0;
  std::string error;  // "" or what is wrong: `unknown unit "KB"`
  explicit operator bool() const { return error.empty(); }
};

inline constexpr std::string_view kSizeForms =
    R"(a number of bytes or "N B", "N KiB", "N MiB", "N GiB")";
inline constexpr std::string_view kDurationForms = R"("Nms", "Ns", "Nm" or "Nh")";

Quantity parse_size(std::string_view text);      // bytes
Quantity parse_duration(std::string_view text);  // milliseconds
// ", did you mean \"64 KiB\"?" after the error of "64k", or ""; likewise of "5 min".
std::string size_hint(std::string_view text);
std::string duration_hint(std::string_view text);
// "64k" -> "64 KiB", "5 min" -> "5m"; "" unless a unit of another fashion follows a number.
std::string quantity_hint(std::string_view text);
// In the largest unit that leaves no rest; parsing gives the same value back. 0 is "0 B" and "0s".
std::string format_size(uint64_t bytes);
std::string format_duration(uint64_t ms);

}  // namespace holdfast::conf
