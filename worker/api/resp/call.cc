#include "worker/api/resp/call.h"

#include <fmt/format.h>
#include <strings.h>

#include "shm/session_directory.h"
#include "worker/routing/command.h"

namespace holdfast::api {

unsigned scopes_at_start(const conf::Api& api) {
  return api.tokens.empty() ? conf::kAllScopes : 0;
}

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string shown(std::string_view text) {
  constexpr size_t kMaxShown = 64;
  std::string quoted("'");
  quoted += text.substr(0, kMaxShown);
  quoted += text.size() > kMaxShown ? "...'" : "'";
  return quoted;
}

std::string no_channel(std::string_view name) {
  return fmt::format("ERR {} is no channel (1 to {} bytes of UTF-8 without control characters)",
                     shown(name), kMaxChannelBytes);
}

std::string no_user(std::string_view name) {
  return fmt::format("ERR {} is no user (1 to {} bytes of UTF-8 without control characters)",
                     shown(name), shm::kMaxUserBytes);
}

std::string no_session_id(std::string_view text) {
  return fmt::format("ERR {} is no session id (32 hex digits or 22 base64url digits)", shown(text));
}

}  // namespace holdfast::api
