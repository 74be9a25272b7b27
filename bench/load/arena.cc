#include "bench/load/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast::bench {
namespace {

size_t aligned(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

}  // namespace

Result<Arena> Arena::make(const Options& options) {
  size_t processes_at = 64;
  size_t published_at = processes_at + aligned(sizeof(ProcessBlock) * options.processes);
  size_t cells = std::max(options.connections, options.channels);
  size_t sessions_at = published_at + aligned(sizeof(Cell) * cells);
  size_t silences_at = sessions_at + aligned(kSessionDigits * options.connections);
  uint32_t members = (options.connections + options.channels - 1) / options.channels;
  bool handover = options.scenario == Scenario::handover;
  size_t total = silences_at;
  if (handover) total += SilenceBoard::bytes(members, options.handover.windows());
  // Zeros from the kernel are valid values of everything in it. Never unmapped: it lives as long as
  // the process.
  void* memory = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Error{Errc::io, errno, "map memory for the client processes"};
  char* base = static_cast<char*>(memory);
  Arena arena;
  arena.phase_ = reinterpret_cast<std::atomic<uint32_t>*>(base);
  arena.processes_ = reinterpret_cast<ProcessBlock*>(base + processes_at);
  arena.published_ = reinterpret_cast<Cell*>(base + published_at);
  arena.sessions_ = base + sessions_at;
  if (handover) arena.silences_.emplace(base + silences_at, members);
  return arena;
}

std::string_view Arena::session(uint32_t index) const {
  const char* digits = sessions_ + size_t{index} * kSessionDigits;
  return digits[0] == '\0' ? std::string_view{} : std::string_view(digits, kSessionDigits);
}

void Arena::set_session(uint32_t index, std::string_view id) const {
  if (id.size() == kSessionDigits)
    std::memcpy(sessions_ + size_t{index} * kSessionDigits, id.data(), kSessionDigits);
}

}  // namespace holdfast::bench
