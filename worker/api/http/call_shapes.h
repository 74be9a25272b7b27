// worker/api/http/call_shapes.h - the table of POST calls: which keys each has.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/routing/command.h"

namespace holdfast::api {

// The keys a call may have, as bits.
enum Key : unsigned {
  kSessions = 1u << 0,
  kUsers = 1u << 1,
  kChannels = 1u << 2,
  kExclude = 1u << 3,
  kData = 1u << 4,
  kDataBase64 = 1u << 5,
  kBinary = 1u << 6,
  kSession = 1u << 7,
  kUser = 1u << 8,
  kCode = 1u << 9,
  kReason = 1u << 10,
  kSet = 1u << 11,
  kMerge = 1u << 12,
  kId = 1u << 13,
  kOp = 1u << 14,  // batch items only
  kVersion = 1u << 15,
  kHistory = 1u << 16,
};
constexpr unsigned kPayload = kData | kDataBase64;

struct CallShape {
  Op op;
  std::string_view name;
  unsigned required;  // all of them
  unsigned one_of;    // exactly one of them
  unsigned optional;  // besides "id", which every call may have
  unsigned allowed() const { return required | one_of | optional | kId; }
};

std::span<const CallShape> call_shapes();
// Null for a question.
const CallShape* shape_of(Op op);
// The one bit of a key; 0: no call has it.
unsigned call_key(std::string_view name);
std::string list_keys(unsigned keys, std::string_view separator);
// "send, send-user, ...": what "op" may be.
std::string all_op_names();

}  // namespace holdfast::api
