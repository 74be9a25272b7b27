// base/bytes.h - numbers in and out of bytes, with bounds.
//
// Formats that leave the host are read and written through these, never by casting a struct onto a buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace holdfast {

inline uint16_t load_be16(const void* p) {
  auto b = static_cast<const unsigned char*>(p);
  return uint16_t(b[0] << 8 | b[1]);
}
inline uint32_t load_be32(const void* p) {
  auto b = static_cast<const unsigned char*>(p);
  return uint32_t(b[0]) << 24 | uint32_t(b[1]) << 16 | uint32_t(b[2]) << 8 | uint32_t(b[3]);
}
inline uint64_t load_be64(const void* p) {
  return uint64_t(load_be32(p)) << 32 | load_be32(static_cast<const unsigned char*>(p) + 4);
}
inline void store_be16(void* p, uint16_t v) {
  auto b = static_cast<unsigned char*>(p);
  b[0] = uint8_t(v >> 8);
  b[1] = uint8_t(v);
}
inline void store_be32(void* p, uint32_t v) {
  store_be16(p, uint16_t(v >> 16));
  store_be16(static_cast<unsigned char*>(p) + 2, uint16_t(v));
}
inline void store_be64(void* p, uint64_t v) {
  store_be32(p, uint32_t(v >> 32));
  store_be32(static_cast<unsigned char*>(p) + 4, uint32_t(v));
}

// Appends host-order numbers and length-prefixed strings; for records that stay on this host.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& v) { out_.append(reinterpret_cast<const char*>(&v), sizeof v); }
  void put_string(std::string_view s) {
    put(uint32_t(s.size()));
    out_.append(s);
  }

 private:
  std::string& out_;
};

// Reads the bytes of a ByteWriter. After the first read past the end every answer is empty and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  template <class T>
  requires std::is_trivially_copyable_v<T> T get() {
    T v{};
    std::string_view bytes = take(sizeof v);
    if (ok_) std::memcpy(&v, bytes.data(), sizeof v);
    return v;
  }
  std::string_view get_string() { return take(get<uint32_t>()); }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  size_t left() const { return in_.size(); }

 private:
  std::string_view take(size_t n) {
    if (n > in_.size()) ok_ = false;
    if (!ok_) return {};
    std::string_view s = in_.substr(0, n);
    in_.remove_prefix(n);
    return s;
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace holdfast
