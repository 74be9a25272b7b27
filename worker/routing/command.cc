#include "worker/routing/command.h"

#include <simdjson.h>

#include "base/names.h"
#include "shm/session_directory.h"

namespace holdfast {
namespace {

bool valid_name(std::string_view name, size_t max_bytes) {
  return !name.empty() && name.size() <= max_bytes &&
         simdjson::validate_utf8(name.data(), name.size()) && !has_control_character(name);
}

}  // namespace

bool valid_channel(std::string_view name) {
  return valid_name(name, kMaxChannelBytes);
}
bool valid_user(std::string_view name) {
  return valid_name(name, shm::kMaxUserBytes);
}

bool changes_state(Op op) {
  return (op >= Op::join && op <= Op::data) || op == Op::empty;
}

}  // namespace holdfast
