// worker/hub.h - channels and users of this worker: who is a member, and fan-out to members.
//
// A user is a channel in a reserved name space (a NUL before the name), so that both are routed and delivered the
// same way. Exact counts across workers are sums of what each Hub says.
//
// Invariants
//   I1  A channel exists here exactly while it has a member; then, and only then, this worker's column of the filter
//       counts it. The column is raised before the first member is in and lowered after the last is out.
//   I2  members[m.position] of a membership names that session and that membership: leaving is O(1).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/channel_filter.h"
#include "worker/payload.h"
#include "worker/runtime.h"
#include "worker/session.h"

namespace holdfast {

struct Channel {
  struct Member {
    Session* session;
    uint32_t membership;  // position in Session::memberships
  };
  std::string name;
  std::vector<Member> members;
};

// "\0" + user: valid_channel() allows no control characters, so no channel can be named so.
std::string user_channel(std::string_view user);
inline bool is_user_channel(std::string_view name) {
  return !name.empty() && name[0] == '\0';
}

class Hub {
 public:
  Hub(Runtime& runtime, shm::ChannelFilter filter) : runtime_(runtime), filter_(filter) {}

  enum class Joined : uint8_t { joined, already, too_many };
  Joined join(Session& session, std::string_view name, bool from_url = false);
  bool leave(Session& session, std::string_view name);  // false: was no member
  void leave_all(Session& session);

  // Null where no local session is a member.
  const Channel* find(std::string_view name) const;
  template <class F>
  void for_each_channel(F&& f) const {
    for (const auto& [name, channel] : channels_)
      if (!is_user_channel(name)) f(*channel);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return hash_name(s); }
  };
  void remove_member(Channel& channel, uint32_t position);

  Runtime& runtime_;
  shm::ChannelFilter filter_;
  std::unordered_map<std::string, std::unique_ptr<Channel>, Hash, std::equal_to<>> channels_;
};

}  // namespace holdfast
