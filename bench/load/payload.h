// bench/load/payload.h - what a message says about itself: whose it is, which one, and when it was
// due.
//
// Digits to base 64 (RFC 4648 section 5), so that it is text as well as bytes and needs no escaping in JSON:
//
//   4 digits addressee | 6 digits sequence, from 1 | 6 digits CLOCK_MONOTONIC nanoseconds, modulo
//   2^36 | filling, '.'
//
// The clock is the machine's, so any process of it can tell the age of a message, up to 34 s.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::bench {

inline constexpr size_t kMinPayloadBytes = 4 + 6 + 6;
inline constexpr uint32_t kMaxAddressees = 1u << 24;

struct Stamp {
  uint32_t addressee = 0;  // index of the channel or of the connection
  uint64_t sequence = 0;
  uint64_t due_ns = 0;
};

namespace detail {
inline constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
inline constexpr auto kValues = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < kDigits.size(); ++i) values[uint8_t(kDigits[i])] = int8_t(i);
  return values;
}();
inline constexpr uint64_t kDueMask = (uint64_t{1} << 36) - 1;

inline void put_digits(char* out, size_t digits, uint64_t value) {
  for (size_t i = digits; i-- > 0; value >>= 6) out[i] = kDigits[value & 63];
}
// False: something else than digits.
inline bool get_digits(std::string_view digits, uint64_t* value) {
  *value = 0;
  int all = 0;
  for (char c : digits) {
    int digit = kValues[uint8_t(c)];
    all |= digit;
    *value = *value << 6 | unsigned(digit & 63);
  }
  return all >= 0;
}
}  // namespace detail

// Appends a message of `bytes` (at least kMinPayloadBytes).
inline void append_payload(std::string& out, const Stamp& stamp, size_t bytes) {
  size_t at = out.size();
  out.resize(at + bytes, '.');
  detail::put_digits(out.data() + at, 4, stamp.addressee);
  detail::put_digits(out.data() + at + 4, 6, stamp.sequence);
  detail::put_digits(out.data() + at + 10, 6, stamp.due_ns);
}

// Empty where the bytes are no message of ours. `now_ns`: when it came.
inline std::optional<Stamp> read_payload(std::string_view bytes, uint64_t now_ns) {
  if (bytes.size() < kMinPayloadBytes) return {};
  uint64_t addressee = 0, due = 0;
  Stamp stamp;
  if (!detail::get_digits(bytes.substr(0, 4), &addressee) ||
      !detail::get_digits(bytes.substr(4, 6), &stamp.sequence) ||
      !detail::get_digits(bytes.substr(10, 6), &due))
    return {};
  if (stamp.sequence == 0) return {};
  if (bytes.find_first_not_of('.', kMinPayloadBytes) != std::string_view::npos) return {};
  stamp.addressee = uint32_t(addressee);
  uint64_t age = (now_ns - due) & detail::kDueMask;
  if (age > detail::kDueMask / 2) age -= detail::kDueMask + 1;  // not due yet
  stamp.due_ns = now_ns - age;
  return stamp;
}

}  // namespace holdfast::bench
