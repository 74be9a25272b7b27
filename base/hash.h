// base/hash.h - hashes of names.
//
// Names come from strangers, who would choose them so that they meet in one bucket. So all look-ups of names by hash use a key
// that nobody outside knows: SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012; one round a
// word, three at the end, as hash tables of Rust and Python use it). Tables that processes share in the segment are hashed
// with the key in its header.
//
// The segment is written by one binary and read by another after an upgrade, so both functions are fixed here. A segment
// that a version before the key has made holds zeros for it: there names are hashed as that version did, with FNV-1a, 64 bit
// (http://www.isthe.com/chongo/tech/comp/fnv/), and the finaliser of MurmurHash3.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/random.h"

namespace holdfast {

struct HashKey {
  uint64_t k0 = 0, k1 = 0;
  bool none() const { return (k0 | k1) == 0; }
  bool operator==(const HashKey&) const = default;
};

inline HashKey random_hash_key() {
  HashKey key;
  fill_random(&key, sizeof key);
  key.k1 |= 1;  // never none
  return key;
}

namespace hash_detail {

inline uint64_t load_le(const char* from, size_t bytes) {
  uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    if (bytes == 8) {
      std::memcpy(&word, from, 8);
      return word;
    }
  }
  for (size_t i = 0; i < bytes; ++i) word |= uint64_t{uint8_t(from[i])} << (8 * i);
  return word;
}

struct SipState {
  uint64_t v0, v1, v2, v3;
  void round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32) + v3;
    v2 += v1;
    v3 = std::rotl(v3, 21) ^ v0;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
};

}  // namespace hash_detail

template <int kRounds, int kLastRounds>
inline uint64_t siphash(std::string_view text, const HashKey& key) {
  hash_detail::SipState s{key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                          key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
  auto take = [&s](uint64_t word) {
    s.v3 ^= word;
    for (int i = 0; i < kRounds; ++i) s.round();
    s.v0 ^= word;
  };
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) take(hash_detail::load_le(at, 8));
  take(uint64_t(text.size()) << 56 | hash_detail::load_le(at, left));
  s.v2 ^= 0xff;
  for (int i = 0; i < kLastRounds; ++i) s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

// Without a key: for names by which strangers gain nothing, and for segments of before.
inline uint64_t hash_name(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3u;
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}

inline uint64_t hash_name(std::string_view name, const HashKey& key) {
  return key.none() ? hash_name(name) : siphash<1, 3>(name, key);
}

// For maps of one process, keyed when the map is made.
class NameHash {
 public:
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return siphash<1, 3>(name, key_); }

 private:
  HashKey key_ = random_hash_key();
};

}  // namespace holdfast
