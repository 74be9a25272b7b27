// wire/ws/mask.h - masking of client frames (RFC 6455 section 5.3), a word at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace holdfast::ws {

// The four bytes of a frame's key, rotated so that the first one is due for the next payload byte.
using MaskKey = std::array<uint8_t, 4>;

// Masks or unmasks `bytes` bytes in place and leaves the key rotated for the bytes after them.
inline void apply_mask(char* data, size_t bytes, MaskKey& key) {
  uint64_t word;
  std::memcpy(&word, key.data(), 4);
  std::memcpy(reinterpret_cast<char*>(&word) + 4, key.data(), 4);
  size_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    uint64_t chunk;
    std::memcpy(&chunk, data + i, 8);
    chunk ^= word;
    std::memcpy(data + i, &chunk, 8);
  }
  for (size_t k = 0; i < bytes; ++i, ++k) data[i] = char(data[i] ^ key[k & 3]);
  if (size_t turn = bytes & 3; turn != 0) {
    key = {key[turn], key[(turn + 1) & 3], key[(turn + 2) & 3], key[(turn + 3) & 3]};
  }
}

}  // namespace holdfast::ws
