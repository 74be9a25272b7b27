// wire/resp/number.h - a number and its line's end, as Redis writes them: no plus, no zero before another digit, no minus zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace holdfast::resp {

enum class NumberRead : uint8_t { need_more, whole, wrong };

// The number at `*at`, which moves behind its CR LF. It is judged byte by byte, so a line that will never be one is not waited
// for. `max_digits`: 18, which always fit, or 19, of which what does not fit is wrong.
inline NumberRead read_number(std::string_view bytes, size_t* at, int64_t* value,
                              size_t max_digits = 18) {
  size_t i = *at;
  bool negative = i < bytes.size() && bytes[i] == '-';
  if (negative) ++i;
  size_t first = i;
  uint64_t number = 0;
  for (; i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '9'; ++i) {
    if (i - first == max_digits) return NumberRead::wrong;
    if (i > first && bytes[first] == '0') return NumberRead::wrong;
    number = number * 10 + uint64_t(bytes[i] - '0');
  }
  if (negative && i > first && number == 0) return NumberRead::wrong;
  if (number > uint64_t{INT64_MAX} + (negative ? 1 : 0)) return NumberRead::wrong;
  if (i == bytes.size()) return NumberRead::need_more;
  if (i == first || bytes[i] != '\r') return NumberRead::wrong;
  if (i + 1 == bytes.size()) return NumberRead::need_more;
  if (bytes[i + 1] != '\n') return NumberRead::wrong;
  *at = i + 2;
  *value = int64_t(negative ? 0 - number : number);
  return NumberRead::whole;
}

}  // namespace holdfast::resp
