// base/fields.h - state records: numbered fields with lengths, so that two versions of
// the server understand each other.
//
//   record   field, field ...                 in the order of their numbers
//   field    number : 16 | bytes : 32 | value
//   value    a number: 1, 2, 4 or 8 bytes, least significant first; text: its bytes;
//            a list: for each element bytes : 32 | value; a pair: likewise; a struct: a record
//
// A struct that travels has one list of its fields, used both ways:
//
//   template <class Archive>
//   void fields(Archive& a, FramerRecord& r) {
//     auto& [partial, failed] = r;  // one member more, and this line does not compile
//     a(1, partial);
//     a(2, failed);
//   }
//
// Rules that keep old and new apart
//   F1  A number never changes its meaning; one that is given up is not used again.
//   F2  A field that is zero or empty is not written, and a field that is not there is read as zero or empty,
//       whatever the member's default. So a new field's zero means "as it was before this field existed".
//   F3  A reader passes over numbers it does not know, unless kNeeded is set in them: then it refuses the
//       record, for by that bit its writer declares that without the field the rest is wrong.
//   F4  A number may be written wider or narrower than it is read; a value that does not fit is refused.
//   F5  A reader trusts no length: whatever the bytes are, it stays within them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"

namespace holdfast::handover {

inline constexpr uint16_t kNeeded = 0x8000;

class Saver;
class Loader;
struct Blank;

namespace detail {

template <class T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;

// An array of bytes of a fixed size: a mask key, an address.
template <class T>
concept Bytes = std::is_array_v<T> && sizeof(std::remove_extent_t<T>) == 1;

template <class T>
void save_value(std::string& out, const T& value);
template <class T>
bool load_value(std::string_view in, T& value);

inline void put_length(std::string& out, size_t at) {
  auto bytes = uint32_t(out.size() - at - sizeof(uint32_t));
  std::memcpy(out.data() + at, &bytes, sizeof bytes);
}

template <class T>
void save_sized(std::string& out, const T& value) {
  size_t at = out.size();
  out.append(sizeof(uint32_t), '\0');
  save_value(out, value);
  put_length(out, at);
}

// False: the input ends before the value does.  // F5
inline bool take_sized(std::string_view& in, std::string_view* value) {
  uint32_t bytes;
  if (in.size() < sizeof bytes) return false;
  std::memcpy(&bytes, in.data(), sizeof bytes);
  in.remove_prefix(sizeof bytes);
  if (bytes > in.size()) return false;
  *value = in.substr(0, bytes);
  in.remove_prefix(bytes);
  return true;
}

template <Number T>
void save_one(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <Number T>
bool load_one(std::string_view in, T& value) {
  if (in.empty() || in.size() > sizeof(uint64_t)) return false;
  uint64_t wide = 0;
  std::memcpy(&wide, in.data(), in.size());
  bool negative = false;
  if constexpr (std::is_signed_v<T>) negative = (uint8_t(in.back()) & 0x80) != 0;
  if (negative && in.size() < sizeof wide) wide |= ~uint64_t{0} << 8 * in.size();
  if constexpr (std::is_same_v<T, bool>) {
    value = wide != 0;
    return true;
  } else {
    value = static_cast<T>(wide);
    return static_cast<uint64_t>(value) == wide;  // F4
  }
}

inline void save_one(std::string& out, const std::string& value) {
  out += value;
}
inline bool load_one(std::string_view in, std::string& value) {
  value = in;
  return true;
}

template <Bytes T>
void save_one(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(value), sizeof value);
}
template <Bytes T>
bool load_one(std::string_view in, T& value) {
  if (in.size() != sizeof value) return false;
  std::memcpy(value, in.data(), sizeof value);
  return true;
}

template <size_t N>
void save_one(std::string& out, const std::array<uint8_t, N>& value) {
  out.append(reinterpret_cast<const char*>(value.data()), N);
}
template <size_t N>
bool load_one(std::string_view in, std::array<uint8_t, N>& value) {
  if (in.size() != N) return false;
  std::memcpy(value.data(), in.data(), N);
  return true;
}

template <class T>
void save_one(std::string& out, const std::vector<T>& list) {
  for (const T& element : list) save_sized(out, element);
}
template <class T>
bool load_one(std::string_view in, std::vector<T>& list) {
  list.clear();
  while (!in.empty()) {
    std::string_view value;
    if (!take_sized(in, &value) || !load_value(value, list.emplace_back())) return false;
  }
  return true;
}

inline void save_one(std::string& out, const std::map<std::string, std::string>& map) {
  for (const auto& [key, value] : map) {
    save_sized(out, key);
    save_sized(out, value);
  }
}
inline bool load_one(std::string_view in, std::map<std::string, std::string>& map) {
  map.clear();
  while (!in.empty()) {
    std::string_view key, value;
    if (!take_sized(in, &key) || !take_sized(in, &value)) return false;
    map[std::string(key)] = value;
  }
  return true;
}

template <class A, class B>
void save_one(std::string& out, const std::pair<A, B>& pair) {
  save_sized(out, pair.first);
  save_sized(out, pair.second);
}
template <class A, class B>
bool load_one(std::string_view in, std::pair<A, B>& pair) {
  std::string_view first, second;
  return take_sized(in, &first) && take_sized(in, &second) && in.empty() &&
         load_value(first, pair.first) && load_value(second, pair.second);
}

template <class T>
bool is_nothing(const T& value) {
  if constexpr (Number<T>) {
    return value == T{};
  } else if constexpr (Bytes<T>) {
    for (auto byte : value)
      if (byte != 0) return false;
    return true;
  } else if constexpr (requires { value.empty(); }) {
    return value.empty();
  } else {
    return false;
  }
}

}  // namespace detail

class Saver {
 public:
  explicit Saver(std::string& out) : out_(out) {}
  template <class T>
  void operator()(uint16_t number, const T& value) {
    HF_CHECK((number & ~kNeeded) > last_);  // the list of fields is in order
    last_ = number & ~kNeeded;
    if (detail::is_nothing(value)) return;  // F2
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
    detail::save_sized(out_, value);
  }
  // Without a value there is no field; a value that is zero or empty is distinguished from none.
  template <class T>
  void operator()(uint16_t number, const std::optional<T>& value) {
    HF_CHECK((number & ~kNeeded) > last_);
    last_ = number & ~kNeeded;
    if (!value) return;
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
    detail::save_sized(out_, *value);
  }

 private:
  std::string& out_;
  int last_ = 0;
};

class Loader {
 public:
  explicit Loader(std::string_view in) : in_(in) { next(); }
  template <class T>
  void operator()(uint16_t number, T& value) {
    if (!find(number & ~kNeeded)) return;
    ok_ = ok_ && detail::load_value(value_, value);
    next();
  }
  template <class T>
  void operator()(uint16_t number, std::optional<T>& value) {
    if (!find(number & ~kNeeded)) return;
    ok_ = ok_ && detail::load_value(value_, value.emplace());
    next();
  }
  // To be asked when all known fields have been read: false for bytes that are no record, values that do not
  // fit, and fields that are needed and not known.
  bool finish() {
    while (ok_ && there_) pass_over();
    return ok_;
  }

 private:
  bool find(int number) {
    while (ok_ && there_ && (number_ & ~kNeeded) < number) pass_over();
    return ok_ && there_ && (number_ & ~kNeeded) == number;
  }
  void pass_over() {
    if ((number_ & kNeeded) != 0) ok_ = false;  // F3
    next();
  }
  void next() {
    there_ = false;
    if (in_.empty() || !ok_) return;
    ok_ = in_.size() >= sizeof number_;
    if (!ok_) return;
    std::memcpy(&number_, in_.data(), sizeof number_);
    in_.remove_prefix(sizeof number_);
    there_ = ok_ = detail::take_sized(in_, &value_);
  }

  std::string_view in_;
  uint16_t number_ = 0;
  std::string_view value_;
  bool there_ = false;  // number_ and value_ are a field that has not been read
  bool ok_ = true;
};

// Sets every field to zero or empty.  // F2
struct Blank {
  template <class T>
  void operator()(uint16_t, T& value) {
    if constexpr (detail::Bytes<T>) {
      std::memset(value, 0, sizeof value);
    } else if constexpr (requires { value.clear(); }) {
      value.clear();
    } else if constexpr (requires { value.reset(); }) {
      value.reset();
    } else if constexpr (detail::Number<T> ||
                         requires { detail::load_one(std::string_view(), value); }) {
      value = T{};
    } else {
      fields(*this, value);
    }
  }
};

namespace detail {

template <class T>
void save_value(std::string& out, const T& value) {
  if constexpr (requires { save_one(out, value); }) {
    save_one(out, value);
  } else {
    Saver saver(out);
    fields(saver, const_cast<T&>(value));  // one list for both ways; a Saver only reads
  }
}
template <class T>
bool load_value(std::string_view in, T& value) {
  if constexpr (requires { load_one(in, value); }) {
    return load_one(in, value);
  } else {
    Blank blank;
    fields(blank, value);
    Loader loader(in);
    fields(loader, value);
    return loader.finish();
  }
}

}  // namespace detail

template <class Record>
std::string save(const Record& record) {
  std::string out;
  detail::save_value(out, record);
  return out;
}
// False: refused; `record` is then half filled.
template <class Record>
[[nodiscard]] bool load(std::string_view in, Record& record) {
  return detail::load_value(in, record);
}

}  // namespace holdfast::handover
