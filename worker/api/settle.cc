#include "worker/api/settle.h"

#include <fmt/format.h>

#include <utility>

namespace holdfast::api {
namespace {

constexpr size_t kRouterBytes = 512;  // what the router may put before a command in a record

std::optional<ApiError> too_large(const shm::Segment& segment, const Command& command) {
  size_t room = shm::MailboxRing::max_body(segment.capacities().mailbox_bytes) - kRouterBytes;
  size_t needed = command.encoded_bytes();
  if (needed <= room) return {};
  return ApiError{413, "too_large",
                  fmt::format("the command takes {} bytes, a mailbox record holds {}; name fewer "
                              "sessions or channels in one call, or raise limits.mailbox_size",
                              needed, room)};
}

std::optional<ApiError> other_user(const shm::Segment& segment, Command& command) {
  if (command.op != Op::unbind || command.users.empty()) return {};
  std::string user = std::move(command.users[0]);
  command.users.clear();
  const shm::SessionId& id = command.sessions[0];
  if (id.index() >= segment.directory().size()) return {};  // unknown: the router says so
  std::optional<shm::SessionView> view = segment.directory().view(id.index());
  if (!view || view->id != id || view->user == user) return {};
  return ApiError{409, "other_user", "the session is not bound to that user; nothing was changed"};
}

}  // namespace

std::optional<ApiError> settle(const ApiContext& context, Command& command) {
  if (auto error = too_large(*context.segment, command)) return error;
  return other_user(*context.segment, command);
}

}  // namespace holdfast::api
