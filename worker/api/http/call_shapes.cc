#include "worker/api/http/call_shapes.h"

#include <array>

#include "worker/api/http/json_command.h"

namespace holdfast::api {
namespace {

constexpr std::array<std::string_view, 17> kKeyNames = {
    "sessions", "users",   "channels", "exclude", "data",   "data_base64",
    "binary",   "session", "user",     "code",    "reason", "set",
    "merge",    "id",      "op",       "version", "history"};

constexpr CallShape kShapes[] = {
    {Op::send, "send", kSessions, kPayload, kBinary},
    {Op::send_user, "send-user", kUsers, kPayload, kBinary | kExclude},
    {Op::send_all, "send-all", 0, kPayload, kBinary | kExclude},
    {Op::publish, "publish", kChannels, kPayload, kBinary | kExclude | kVersion | kHistory},
    {Op::join, "join", kChannels, kSessions | kUsers, kExclude},
    {Op::leave, "leave", kChannels, kSessions | kUsers, kExclude},
    {Op::bind, "bind", kSession | kUser, 0, 0},
    {Op::unbind, "unbind", kSession, 0, kUser},
    {Op::data, "data", kSession, kSet | kMerge, 0},
    {Op::kick, "kick", 0, kSessions | kUsers | kChannels, kCode | kReason | kExclude},
};

}  // namespace

std::span<const CallShape> call_shapes() {
  return kShapes;
}

const CallShape* shape_of(Op op) {
  for (const CallShape& shape : kShapes)
    if (shape.op == op) return &shape;
  return nullptr;
}

std::optional<Op> op_named(std::string_view name) {
  for (const CallShape& shape : kShapes)
    if (shape.name == name) return shape.op;
  return {};
}

unsigned call_key(std::string_view name) {
  for (size_t i = 0; i < kKeyNames.size(); ++i)
    if (kKeyNames[i] == name) return 1u << i;
  return 0;
}

std::string list_keys(unsigned keys, std::string_view separator) {
  std::string list;
  for (size_t i = 0; i < kKeyNames.size(); ++i) {
    if ((keys & 1u << i) == 0) continue;
    if (!list.empty()) list += separator;
    list += kKeyNames[i];
  }
  return list;
}

std::string all_op_names() {
  std::string names;
  for (const CallShape& shape : kShapes) {
    if (!names.empty()) names += ", ";
    names += shape.name;
  }
  return names;
}

}  // namespace holdfast::api
