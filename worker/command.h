// worker/command.h - one push operation, however it came: HTTP, a reply header, a relay, another worker.
//
// Faces (api/*, backend replies) build a Command and give it to Router::execute(). The part that concerns sessions
// of another worker travels to it as the same Command, encoded (native byte order: it stays on this host).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/session_id.h"

namespace holdfast {

inline constexpr size_t kMaxChannelBytes = 255;
// 1..255 bytes of UTF-8 without control characters.
bool valid_channel(std::string_view name);
// 1..shm::kMaxUserBytes bytes of UTF-8 without control characters.
bool valid_user(std::string_view name);

enum class Op : uint8_t {
  send = 1,       // sessions, data
  send_user,      // users, data, exclude
  send_all,       // data, exclude
  publish,        // channels, data, exclude
  join,           // sessions or users; channels
  leave,          // likewise
  bind,           // sessions, users[0]
  unbind,         // sessions
  kick,           // sessions, users or channels; code, reason
  list_channels,  // -> Result::channels
};

struct Command {
  Op op = Op::send;
  bool binary = false;  // data goes out as a binary frame
  uint16_t code = 0;    // kick
  std::vector<shm::SessionId> sessions;
  std::vector<shm::SessionId> exclude;
  std::vector<std::string> channels;
  std::vector<std::string> users;
  std::string data;    // validated by the face: UTF-8 unless binary, at most max_message_size
  std::string reason;  // kick

  std::string encode() const;
  size_t encoded_bytes() const;  // exactly what encode() takes
  static std::optional<Command> decode(std::string_view bytes);
};

struct ChannelCount {
  std::string name;
  uint64_t members = 0;
};

// What became of it. For a send to sessions the directory decides at once; all else is reported by the workers that carried it
// out, so whoever got the answer to a join can publish to the newcomer. `partial`: one did not report within the deadline.
struct CommandResult {
  uint64_t delivered = 0;  // sessions reached (queued for them, or handed to their worker)
  std::vector<shm::SessionId> unknown;  // of the sessions named
  std::vector<shm::SessionId>
      failed;                   // named sessions whose worker's mailbox was full: not delivered
  unsigned workers_failed = 0;  // workers that could not be told because their mailbox was full
  uint64_t refused = 0;         // joins refused because of max_channels_per_session
  bool partial = false;
  std::vector<ChannelCount> channels;  // list_channels: sorted by name, counts summed
};

}  // namespace holdfast
