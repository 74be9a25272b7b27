// What a worker says to questions (Op::get_session and what follows): at once, whatever waits. Each looks at no more than a
// page has entries.
#include <algorithm>

#include "worker/routing/push_carrier.h"

namespace holdfast {
namespace {

// Of the names that are no channel's, sorted before all channels.
constexpr char kFirstOfChannels = '\3';
NameKind kind_listed(const Command& part) {
  if (part.op == Op::list_users) return NameKind::user;
  return part.channels.empty() ? NameKind::channel : kind_of(part.channels.front());
}

// Places in a member list, newest first, workers one after the other (MemberView::position).
uint64_t position_of(uint16_t slot, size_t index) {
  return uint64_t(slot) << 32 | (UINT32_MAX - uint32_t(index));
}

}  // namespace

void PushCarrier::answer(const Command& part, CommandResult* result) const {
  if (part.op == Op::list_channels || part.op == Op::list_users) return list_names(part, result);
  if (part.op == Op::list_members) {
    for (const std::string& user : part.users) list_members(user_channel(user), part.page, result);
    for (const std::string& channel : part.channels) list_members(channel, part.page, result);
    return;
  }
  for (const shm::SessionId& id : part.sessions) {
    if (const Session* session = sessions_.find(id)) {
      describe(*session, result);
    } else {
      runtime_.stats.push_no_session.add();
      result->unknown.push_back(id);
    }
  }
}

void PushCarrier::describe(const Session& session, CommandResult* result) const {
  SessionDetail& detail = result->session.emplace();
  for (const ChannelMember::Membership& m : session.memberships)
    if (!is_user_channel(m.channel->name)) detail.channels.push_back(m.channel->name);
  std::sort(detail.channels.begin(), detail.channels.end());
  if (session.data) detail.data.assign(session.data->begin(), session.data->end());
}

void PushCarrier::list_members(std::string_view name, const Page& page,
                               CommandResult* result) const {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr) return;
  result->members += channel->members.size();
  result->subscribers += channel->subscribers.size();
  auto after_slot = uint16_t(page.position >> 32);
  size_t left = channel->members.size();
  if (page.position != 0) {
    if (runtime_.slot < after_slot) return;
    if (runtime_.slot == after_slot)
      left = std::min<size_t>(left, UINT32_MAX - uint32_t(page.position));
  }
  uint32_t limit = std::min(page.limit, kMaxPage);
  for (; left > 0 && result->listed.size() < limit; --left) {
    const Session& session = session_of(*channel->members[left - 1].who);
    result->listed.push_back(
        {position_of(runtime_.slot, left - 1), session.id, std::string(session.user.view())});
  }
  if (left > 0 && limit > 0) result->more = true;
}

void PushCarrier::list_names(const Command& part, CommandResult* result) const {
  NameKind kind = kind_listed(part);
  auto named = [&](const std::string& name) {
    return kind == NameKind::channel ? name : reserved_name(kind, name);
  };
  const Page& page = part.page;
  uint32_t limit = std::min(page.limit, kMaxPage);
  std::string prefix = named(page.prefix);
  std::string from = prefix.empty() ? std::string(1, kFirstOfChannels) : prefix;
  std::string after = page.after.empty() ? std::string() : named(page.after);
  hub_.for_each_from(from, after, [&](const Channel& channel) {
    if (!std::string_view(channel.name).starts_with(prefix)) return false;
    if (kind_of(channel.name) != kind) return false;
    if (result->names.size() >= limit) {
      result->more = limit > 0;
      return false;
    }
    result->names.push_back({std::string(plain_name(channel.name)), channel.members.size(),
                             channel.subscribers.size(), channel.published});
    return true;
  });
}

}  // namespace holdfast
