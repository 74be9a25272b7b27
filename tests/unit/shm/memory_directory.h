// tests/unit/shm/memory_directory.h - a session directory in this process's memory.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include "shm/session_directory.h"

namespace holdfast::shm {

constexpr uint32_t kSlots = 3, kPerSlab = 8;
constexpr uint16_t kNode = 7;

struct MemoryDirectory {
  SessionDirectory directory() { return {entries.get(), kSlots, kPerSlab}; }
  // What slot's next process does first.
  Slab slab(uint16_t slot) { return {directory(), slot, kNode, high_water[slot]}; }
  Control control(const SessionId& id) {
    return Control::unpack(entries[id.index()].control.load());
  }
  std::string user(const SessionId& id) {
    auto view = directory().view(id.index());
    return view ? view->user : "gone";
  }

  std::unique_ptr<DirectoryEntry[]> entries{new DirectoryEntry[size_t{kSlots} * kPerSlab]()};
  std::atomic<uint32_t> high_water[kSlots]{};
};

}  // namespace holdfast::shm
