// master/memory_room.h - the memory that the segment may need, against the memory there is: logged before it is missed.
//
// Every container's /dev/shm has 64 MiB unless set otherwise. A segment that outgrows it goes on with the pages it has: new
// pushes, sessions and keys are refused (shm/pages.h). A start is refused only if there is not even room for the least.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "conf/config.h"

namespace holdfast::master {

// In bytes; each part as large as it can get with this configuration.
struct MemoryNeeds {
  uint64_t least = 0;  // to start and to serve somebody
  uint64_t mailboxes = 0, sessions = 0, addresses = 0, filter = 0, keys = 0, history = 0;
  uint64_t most() const {
    return least + mailboxes + sessions + addresses + filter + keys + history;
  }
};
MemoryNeeds memory_needs(const conf::Config& config);

struct MemoryRoom {
  std::optional<uint64_t>
      free;  // of the file system, a former segment of ours included; empty: without bound
  std::optional<uint64_t> group;  // memory limit of our control group, for all it holds
};
// Errc::io: `folder` is not there, or cannot be written to.
Result<MemoryRoom> memory_room(const std::string& instance, const std::string& folder = "/dev/shm",
                               const std::string& root = "");

struct MemoryVerdict {
  enum class Kind : uint8_t { fits, tight, impossible };
  Kind kind = Kind::fits;
  std::string text;
};
MemoryVerdict judge_memory(const MemoryNeeds& needs, const MemoryRoom& room);

// Logs the verdict; an error if it is `impossible`.
Result<void> check_memory(const conf::Config& config);
// For -t: the warning that a start would log; empty: none.
std::string memory_warning(const conf::Config& config);

}  // namespace holdfast::master
