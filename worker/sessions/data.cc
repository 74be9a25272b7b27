// What an application binds to a session: a user, and keys with values.

#include "worker/sessions/session.h"
#include "worker/sessions/table.h"
#include "worker/sessions/trace.h"

namespace holdfast {

void Sessions::set_user(Session& session, std::string_view user) {
  if (session.user == user) return;
  if (!session.user.empty()) {
    trace(runtime_.tracer, {.event = "unbind", .session = &session});
    hub_.leave(session, user_channel(session.user.view()));
  }
  session.user = user;
  slab_.set_user(session.id, user);
  if (session.user.empty()) return;
  hub_.join(session, user_channel(session.user.view()));
  trace(runtime_.tracer, {.event = "bind", .session = &session});
}

bool Sessions::set_data(Session& session,
                        const std::vector<std::pair<std::string, std::string>>& pairs, bool merge) {
  SessionData data;
  if (merge && session.data) data = *session.data;
  for (const auto& [key, value] : pairs) {
    if (value.empty()) {
      data.erase(key);
    } else {
      data.insert_or_assign(key, value);
    }
  }
  size_t bytes = 0;
  for (const auto& [key, value] : data) bytes += key.size() + value.size();
  if (bytes > kMaxDataBytes) {
    runtime_.stats.data_refused.add();
    return false;
  }
  session.data = data.empty() ? nullptr : std::make_unique<SessionData>(std::move(data));
  for (const auto& [key, value] : pairs)
    trace(runtime_.tracer, {.event = "data", .session = &session, .detail = key});
  return true;
}

size_t Sessions::merge_data(Session& session,
                            const std::vector<std::pair<std::string, std::string>>& pairs) {
  SessionData data;
  if (session.data) data = *session.data;
  size_t bytes = 0, refused = 0;
  for (const auto& [key, value] : data) bytes += key.size() + value.size();
  for (const auto& [key, value] : pairs) {
    auto it = data.find(key);
    size_t before = it == data.end() ? 0 : key.size() + it->second.size();
    size_t after = value.empty() ? 0 : key.size() + value.size();
    if (bytes - before + after > kMaxDataBytes) {
      runtime_.stats.data_refused.add();
      ++refused;
      continue;
    }
    bytes += after - before;
    if (after == 0) {
      if (it != data.end()) data.erase(it);
    } else {
      data.insert_or_assign(key, value);
    }
    trace(runtime_.tracer, {.event = "data", .session = &session, .detail = key});
  }
  session.data = data.empty() ? nullptr : std::make_unique<SessionData>(std::move(data));
  return refused;
}

}  // namespace holdfast
