// bench/load/payload.h - what a message says about itself: whose it is, which one, and when it was
// due.
//
// Decimal digits only, so that it is text as well as bytes and needs no escaping in JSON:
//
//   10 digits addressee | 16 digits sequence, from 1 | 20 digits CLOCK_MONOTONIC nanoseconds |
//   filling, '.'
//
// The clock is the machine's, so any process of it can tell the age of a message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::bench {

inline constexpr size_t kMinPayloadBytes = 10 + 16 + 20;

struct Stamp {
  uint32_t addressee = 0;  // index of the channel or of the connection
  uint64_t sequence = 0;
  uint64_t due_ns = 0;
};

namespace detail {
inline void put_digits(char* out, size_t digits, uint64_t value) {
  for (size_t i = digits; i-- > 0; value /= 10) out[i] = char('0' + value % 10);
}
// False: something else than digits.
inline bool get_digits(std::string_view digits, uint64_t* value) {
  *value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + uint64_t(c - '0');
  }
  return true;
}
}  // namespace detail

// Appends a message of `bytes` (at least kMinPayloadBytes).
inline void append_payload(std::string& out, const Stamp& stamp, size_t bytes) {
  size_t at = out.size();
  out.resize(at + bytes, '.');
  detail::put_digits(out.data() + at, 10, stamp.addressee);
  detail::put_digits(out.data() + at + 10, 16, stamp.sequence);
  detail::put_digits(out.data() + at + 26, 20, stamp.due_ns);
}

// Empty where the bytes are no message of ours.
inline std::optional<Stamp> read_payload(std::string_view bytes) {
  if (bytes.size() < kMinPayloadBytes) return {};
  uint64_t addressee = 0;
  Stamp stamp;
  if (!detail::get_digits(bytes.substr(0, 10), &addressee) ||
      !detail::get_digits(bytes.substr(10, 16), &stamp.sequence) ||
      !detail::get_digits(bytes.substr(26, 20), &stamp.due_ns))
    return {};
  if (addressee > UINT32_MAX || stamp.sequence == 0) return {};
  if (bytes.find_first_not_of('.', kMinPayloadBytes) != std::string_view::npos) return {};
  stamp.addressee = uint32_t(addressee);
  return stamp;
}

}  // namespace holdfast::bench
