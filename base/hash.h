// base/hash.h - the one hash of names that processes share.
//
// The channel filter in the segment is written by one binary and read by another after an upgrade, so the
// function is fixed here: FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv/), then the finaliser of
// MurmurHash3 so that the low bits are good enough to mask.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

inline uint64_t hash_name(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3u;
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}

}  // namespace holdfast
