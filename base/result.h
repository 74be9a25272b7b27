// base/result.h - a value or an Error.
//
// Same shape as C++23 std::expected<T, Error>, which it will become. For set-up code; hot paths return a
// small enum whose every value has a counter.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace holdfast {

enum class Errc : uint8_t { io, bad_input, limit, gone, busy, config, incompatible };

struct Error {
  Errc code;
  int sys = 0;       // errno, or 0
  std::string what;  // "attach segment holdfast.demo: layout 4, this binary wants 5"

  // "what: strerror(sys)" if there is an errno.
  std::string text() const { return sys == 0 ? what : what + ": " + std::strerror(sys); }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}
  explicit operator bool() const { return v_.index() == 0; }
  T& operator*() & { return std::get<0>(v_); }
  const T& operator*() const& { return std::get<0>(v_); }
  T&& operator*() && { return std::get<0>(std::move(v_)); }
  T* operator->() { return &std::get<0>(v_); }
  const T* operator->() const { return &std::get<0>(v_); }
  Error& error() { return std::get<1>(v_); }
  const Error& error() const { return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  explicit operator bool() const { return !error_; }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace holdfast
