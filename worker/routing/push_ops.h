// worker/routing/push_ops.h - what operations are to those that divide commands and carry them out.
#pragma once

#include <algorithm>

#include "worker/routing/push_carrier.h"

namespace holdfast {

inline bool is_push(Op op) {
  return op <= Op::publish;
}
inline bool is_question(Op op) {
  return op >= Op::get_session && op <= Op::list_users;
}
// Are `channels` the addressees (publish, kick, list_members), or arguments (join, leave)?
inline bool channels_address(Op op) {
  return op == Op::publish || op == Op::kick || op == Op::list_members;
}
inline bool users_address(Op op) {
  return op != Op::bind;
}
inline size_t users_of(const Command& part) {
  return users_address(part.op) ? part.users.size() : 0;
}
inline size_t cost_of(Op op) {
  return is_push(op) ? 1 : PushCarrier::kChange;
}
inline void use_up(size_t& left, size_t cost) {
  left -= std::min(left, cost);
}
// The order of a part's `exclude`, which is looked at for every member.
inline bool before(const shm::SessionId& a, const shm::SessionId& b) {
  return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}

}  // namespace holdfast
