// worker/net/shelf.h - buffers that many connections share, sent once and found again by number.
//
// A published message that waits in ten thousand output queues is one Buffer; it must not become ten thousand
// on the way to the successor.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/buffer.h"

namespace holdfast::handover {

class Shelf {
 public:
  // Predecessor. The number of a shared buffer; one that is new is in take_new() until that is called.
  uint64_t put(const BufferRef& buffer) {
    auto [it, fresh] = numbers_.try_emplace(buffer.bytes().data(), numbers_.size() + 1);
    if (fresh) new_.emplace_back(it->second, buffer);
    return it->second;
  }
  std::vector<std::pair<uint64_t, BufferRef>> take_new() { return std::exchange(new_, {}); }

  // Successor.
  void keep(uint64_t number, BufferRef buffer) { kept_[number] = std::move(buffer); }
  // Empty: there is none of this number.
  BufferRef get(uint64_t number) const {
    auto it = kept_.find(number);
    return it == kept_.end() ? BufferRef() : it->second;
  }

 private:
  std::unordered_map<const char*, uint64_t>
      numbers_;  // by address; the buffers are in the queues meanwhile
  std::vector<std::pair<uint64_t, BufferRef>> new_;
  std::unordered_map<uint64_t, BufferRef> kept_;
};

}  // namespace holdfast::handover
